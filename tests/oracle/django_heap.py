"""A heap like a real site's: Django is imported, configured, given tables and rows, asked for pages and administered.

``python -m oracle.django_heap FILE`` makes one and dumps it.
"""

from __future__ import annotations

import sys
from typing import Any

TEMPLATE = "{% for book in books %}<p>{{ book.title|upper }} by {{ book.author.name }}</p>{% empty %}none{% endfor %}"


def configure() -> None:
    """What a settings module does."""
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="for tests only",
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.messages",
            "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        STATIC_URL="static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
    )
    django.setup()


def make_models() -> tuple[Any, Any]:
    """Two models with a relation, and their tables."""
    from django.db import connection, models

    class Author(models.Model):
        name = models.CharField(max_length=80)

        class Meta:
            app_label = "library"

    class Book(models.Model):
        title = models.CharField(max_length=200)
        author = models.ForeignKey(Author, on_delete=models.CASCADE)

        class Meta:
            app_label = "library"

    with connection.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Book)
    return Author, Book


def use() -> list[Any]:
    """Runs the site for a while. Returns what a site holds on to: rows, responses, a query."""
    configure()
    from django.contrib import admin
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.http import HttpResponse
    from django.template import engines
    from django.test import Client
    from django.urls import path

    author_model, book_model = make_models()
    call_command("migrate", verbosity=0)
    for number in range(40):
        author = author_model.objects.create(name=f"author {number}")
        for volume in range(3):
            book_model.objects.create(title=f"book {number}, volume {volume}", author=author)

    def page(request: Any) -> Any:
        request.session["visits"] = request.session.get("visits", 0) + 1
        books = book_model.objects.select_related("author").order_by("title")[:20]
        return HttpResponse(engines["django"].from_string(TEMPLATE).render({"books": books}, request))

    globals()["urlpatterns"] = [path("", page), path("admin/", admin.site.urls)]
    client = Client()
    responses = [client.get("/") for _ in range(5)]
    assert all(response.status_code == 200 and b"BOOK 0" in response.content for response in responses)
    client.force_login(get_user_model().objects.create_superuser("admin"))
    administered = [client.get(f"/admin/{place}") for place in ("", "auth/user/", "auth/user/1/change/")]
    assert all(response.status_code == 200 for response in administered)
    return [
        client,
        responses,
        administered,
        list(book_model.objects.all()),
        book_model.objects.filter(author__name="author 3"),
    ]


def main(path: str) -> None:
    """Makes the heap and dumps it."""
    import heapsee

    held = use()
    heapsee.dump_all_objects(path)
    assert held


if __name__ == "__main__":
    main(sys.argv[1])
