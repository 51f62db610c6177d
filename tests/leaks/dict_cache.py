"""A cache of sessions with no limit: every visitor gets an entry, none is ever taken out."""

from __future__ import annotations

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.dict_cache']._sessions", holds="Session", count=5000)
REQUESTS = 5000
_sessions: dict[str, Session] = {}


class Session:
    """What is known of a visitor."""

    def __init__(self, visitor: str) -> None:
        self.visitor = visitor
        self.basket: list[str] = []
        self.attributes = {"agent": f"browser of {visitor}", "language": "en"}


def session_of(visitor: str) -> Session:
    """The visitor's session, made at the first visit."""
    if visitor not in _sessions:
        _sessions[visitor] = Session(visitor)
    return _sessions[visitor]


def serve(numbers: range) -> None:
    """Every request is a new visitor's."""
    for number in numbers:
        session_of(f"visitor-{number:08}").basket.append(f"book {number}")
