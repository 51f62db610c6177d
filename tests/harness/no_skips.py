"""A pytest plugin: a test that is skipped, or expected to fail, fails the run.

What cannot run on a machine is left out by the driver, which says so; a test never decides it by itself.
"""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "meliae: needs meliae on CPython 3.8 (HEAPSEE_MELIAE_PYTHON)")
    config.addinivalue_line("markers", "outermost: depends little on the CPython; the oldest and the newest are enough")
    config.addinivalue_line("markers", "old_release: needs a CPython 3.14 of before 3.14.5 (HEAPSEE_OLD_314)")
    config.addinivalue_line("markers", "systemd: needs systemd-analyze")
    config.addinivalue_line("markers", "boots: needs a systemd, and to be root in namespaces of its own")
    config.addinivalue_line("markers", "promtool: needs promtool (HEAPSEE_PROMTOOL)")
    config.addinivalue_line("markers", "azurite: needs Azurite, and so Node.js (HEAPSEE_AZURITE)")
    config.addinivalue_line("markers", "s3rver: needs s3rver, and so Node.js (HEAPSEE_S3RVER)")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    left_out = [report for kind in ("skipped", "xfailed", "xpassed") for report in reporter.stats.get(kind, [])]
    if left_out:
        names = ", ".join(sorted({str(getattr(report, "nodeid", report)) for report in left_out}))
        reporter.write_line(f"\n{len(left_out)} tests skipped or expected to fail, which counts as failed: {names}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
