"""heapsee in every worker of a gunicorn, from its configuration file alone.

::

    from heapsee.gunicorn import post_fork

Options come from the environment, see `heapsee.environment`. With ``preload_app`` and an application that installs
heapsee itself, or with HEAPSEE_INSTALL=1, the workers have it already, and keep it so.
"""

from heapsee import environment

__all__ = ["post_fork"]


def post_fork(server, worker):
    """Gunicorn's hook: runs in each new worker."""
    try:
        environment.install()
    except (RuntimeError, ValueError) as error:
        # A worker that cannot be dumped still serves.
        server.log.warning("heapsee is not installed in worker %s: %s", worker.pid, error)
