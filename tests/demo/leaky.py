"""The WSGI application of ``make demo-agent``: every request to ``/grade`` leaks a little, in a way that is seen often.

Results are put into a dictionary of the module "until somebody fetches them", and nobody ever does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

UNFETCHED: dict[int, Submission] = {}
ANSWERS_PER_SUBMISSION = 500


class Answer:
    """One answer of a submission."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        self.text = text


class Submission:
    """What a student has handed in, graded."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.answers = [
            Answer(i, f"answer {i} of submission {number}: " + "blah " * 100) for i in range(ANSWERS_PER_SUBMISSION)
        ]


def grade() -> dict[str, Any]:
    """Grades one more submission, and keeps it for ever."""
    number = len(UNFETCHED)
    UNFETCHED[number] = Submission(number)
    return {"pid": os.getpid(), "submission": number}


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """``/grade`` leaks; anything else says which process this is."""
    answer = grade() if environ["PATH_INFO"] == "/grade" else {"pid": os.getpid()}
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
