"""gunicorn's part of arming heapsee: every worker, as soon as it is forked, answers SIGPROF with a heap dump.

    gunicorn --config gunicorn.conf.py myproject.wsgi

If you have a configuration file already, take over the one import: gunicorn calls whatever is called ``post_fork`` in
it. Dumps go to the temporary directory (``TMPDIR``). Works with and without ``preload_app``.
"""

from heapsee.gunicorn import post_fork

__all__ = ["post_fork"]
