"""A tree: comments to comments, all of them below the first, which has few."""

from __future__ import annotations

from leaks.culprit import Culprit

CULPRIT = Culprit(path="sys.modules['leaks.comments'].first", holds="Comment", count=3)
REQUESTS = 6000


class Comment:
    """A comment, which knows what it answers to and its answers."""

    def __init__(self, text: str, to: Comment | None) -> None:
        self.text = text
        self.to = to
        self.answers: list[Comment] = []
        if to:
            to.answers.append(self)


first = Comment("first!", None)


def nth(number: int) -> Comment:
    """The comment that got this number: each has three answers."""
    return first if number == 0 else nth((number - 1) // 3).answers[(number - 1) % 3]


def serve(numbers: range) -> None:
    """Every request is a comment."""
    for number in numbers:
        Comment(f"comment {number}: I do not agree", nth(number // 3))
