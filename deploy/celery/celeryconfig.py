"""celery's part of arming heapsee: the worker and every process of its pool answer SIGPROF with a heap dump.

    celery --app myproject --config celeryconfig worker

If you have a configuration already, add the module to its ``imports``, or say so on the command line:

    celery --app myproject worker --include heapsee.celery

Dumps go to HEAPSEE_DIRECTORY, by default the temporary directory (``TMPDIR``).
"""

imports = ["heapsee.celery"]
