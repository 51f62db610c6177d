"""gunicorn's part of arming heapsee: every worker, as soon as it is forked, answers SIGPROF with a heap dump.

    gunicorn --config gunicorn.conf.py myproject.wsgi

If you have a configuration file already, take over the one import: gunicorn calls whatever is called ``post_fork`` in
it. Dumps go to HEAPSEE_DIRECTORY, by default the temporary directory (``TMPDIR``). Works with and without
``preload_app``, and with every worker class.
"""

from heapsee.gunicorn import post_fork

__all__ = ["post_fork"]
