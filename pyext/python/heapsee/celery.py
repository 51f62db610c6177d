"""heapsee in every process of a celery worker: ``imports = ["heapsee.celery"]`` in its configuration.

Or ``celery --app … worker --include heapsee.celery``. Options come from the environment, see `heapsee.environment`.
The main process is armed too: with the pools of threads, gevent and eventlet it is the one that does the work.
"""

import logging

from celery.signals import worker_init, worker_process_init

from heapsee import environment

__all__ = ["install"]


def install(**_):
    """Celery's signals ``worker_init`` (the main process) and ``worker_process_init`` (each process of the pool)."""
    try:
        environment.install()
    except (RuntimeError, ValueError) as error:
        # A worker that cannot be dumped still works.
        logging.getLogger(__name__).warning("heapsee is not installed: %s", error)


worker_init.connect(install, weak=False)
worker_process_init.connect(install, weak=False)
