"""A shop on FastAPI that keeps three things too many: finished tasks, closed WebSockets, requests with their state."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from fastapi import FastAPI, Request, WebSocket

from leaks.culprit import Culprit

ORDERS = 250
VISITORS = 80
NOTES_OF_AN_ORDER = 8
MODULE = "sys.modules['leaks.asgi']"
CULPRITS = [
    Culprit(path=f"{MODULE}.background", holds="_asyncio.Task", count=ORDERS * NOTES_OF_AN_ORDER),
    Culprit(path=f"{MODULE}.feed.active", holds="WebSocket", count=VISITORS),
    Culprit(path=f"{MODULE}.app.state._state['recent']", holds="Request", count=ORDERS),
]


class Feed:
    """Who is connected; nobody is ever taken out."""

    def __init__(self) -> None:
        self.active: list[WebSocket] = []

    async def join(self, socket: WebSocket) -> None:
        """Sends the visitor what is new."""
        await socket.accept()
        self.active.append(socket)
        socket.state.unread = [f"offer {offer} for visitor {len(self.active)}" for offer in range(100)]
        await socket.send_text("welcome")


background: set[asyncio.Task[Any]] = set()
feed = Feed()
app = FastAPI()
app.state.recent = []


async def notify(number: int, note: int) -> dict[str, Any]:
    """Tells somebody of an order."""
    await asyncio.sleep(0)
    return {"text": f"note {note} on order {number} is on its way", "to": [f"customer {number}"]}


async def order(number: int, request: Request) -> dict[str, Any]:
    """Takes an order."""
    for note in range(NOTES_OF_AN_ORDER):
        background.add(asyncio.ensure_future(notify(number, note)))
    request.state.basket = [f"book {book} of order {number}" for book in range(30)]
    app.state.recent.append(request)
    return {"pid": os.getpid()}


async def facts() -> dict[str, Any]:
    """Who serves."""
    return {"pid": os.getpid()}


app.add_api_route("/facts", facts)
app.add_api_route("/order/{number}", order)
app.add_api_websocket_route("/feed", feed.join)
