"""heapsee in every worker of a gunicorn, from its configuration file alone.

::

    from heapsee.gunicorn import post_fork

With ``preload_app`` and an application that installs heapsee itself, the workers have it already, and keep it so.
"""

import heapsee

__all__ = ["post_fork"]


def post_fork(server, worker):
    """Gunicorn's hook: runs in each new worker."""
    if heapsee.status()["installed"]:
        return
    try:
        heapsee.install_memory_dumper()
    except (RuntimeError, ValueError) as error:
        # A worker that cannot be dumped still serves.
        server.log.warning("heapsee is not installed in worker %s: %s", worker.pid, error)
