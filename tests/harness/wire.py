"""A wire between a client and a server on loopback that can be cut or stopped after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Wire:
    """Connections to `port` here go on to `target`. Counts what clients send."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self._left: int | None = None
        self._stalls = False
        self._lock = threading.Lock()
        self.reached = threading.Event()
        """Set when the bytes that were let through are used up."""
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no further connection."""
        self._listener.close()

    def let(self, number: int | None, *, stalls: bool = False) -> None:
        """From now on lets so many bytes of clients through, and then cuts, or stops; None: all."""
        with self._lock:
            self._left, self._stalls = number, stalls
            self.reached.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for piece in pieces(client):
                with self._lock:
                    if self._left is not None:
                        if len(piece) > self._left:
                            self.reached.set()
                            if self._stalls:
                                # The sockets stay as they are, until the client gives up.
                                return
                            break
                        self._left -= len(piece)
                    self.sent += len(piece)
                server.sendall(piece)
        end(client, server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for piece in pieces(server):
                client.sendall(piece)
        end(client, server)


def pieces(connection: socket.socket) -> Iterator[bytes]:
    """What comes, as it comes."""
    while piece := connection.recv(1 << 16):
        yield piece


def end(*connections: socket.socket) -> None:
    """Ends connections for both sides, whatever is under way in them."""
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
