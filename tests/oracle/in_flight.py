"""An event loop with something in flight, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading


class InFlight:
    """Made once everything is in flight, and so it stays: `_serve` says so through `ready` and waits for `end`."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        raise NotImplementedError
