"""heapsee in every worker of a uWSGI, from its configuration alone: ``import = heapsee.uwsgi``.

Options come from the environment (in uWSGI's configuration ``env = HEAPSEE_DIRECTORY=/var/lib/dumps``), see
`heapsee.environment`. Works with and without ``lazy-apps``: uWSGI forks its workers in C, and heapsee arms each.
"""

import sys

from heapsee import environment

__all__ = ["install"]


def install():
    """Install; when that cannot be, say so in uWSGI's log and let the worker serve."""
    try:
        environment.install()
    except (RuntimeError, ValueError) as error:
        sys.stderr.write(f"heapsee is not installed: {error}\n")


install()
