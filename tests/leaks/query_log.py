"""Django with DEBUG on, outside of requests: ``connection.queries`` keeps every statement, here without a limit."""

from __future__ import annotations

from collections import deque

from leaks.culprit import Culprit

CULPRIT = Culprit(path=".queries_log", holds="dict", count=5000)
REQUESTS = 5000


def serve(times: int) -> None:
    """Every request asks the database once."""
    from django.conf import settings

    settings.configure(
        DEBUG=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    import django

    django.setup()
    from django.db import connection

    connection.queries_log = deque()
    with connection.cursor() as cursor:
        for number in range(times):
            cursor.execute(f"select {number} as answer, 'a statement as long as statements are' as padding")
            cursor.fetchone()
