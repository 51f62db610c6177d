"""Django with DEBUG on, outside of requests: ``connection.queries`` keeps every statement, here without a limit."""

from __future__ import annotations

from collections import deque

from leaks.culprit import Culprit

CULPRIT = Culprit(path=".queries_log", holds="dict", count=5000)
REQUESTS = 5000


def set_up() -> None:
    """As ``manage.py`` does it; at the first request."""
    import django
    from django.conf import settings

    settings.configure(
        DEBUG=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    )
    django.setup()
    from django.db import connection

    connection.queries_log = deque()


def serve(numbers: range) -> None:
    """Every request asks the database once."""
    from django.conf import settings

    if not settings.configured:
        set_up()
    from django.db import connection

    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute(f"select {number} as answer, 'a statement as long as statements are' as padding")
            cursor.fetchone()
