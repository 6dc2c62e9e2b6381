"""News on their way from the supervisor to one worker."""

from __future__ import annotations

import trio

from audio_server.workers.messages import Down, encode

WAITING_MAX_BYTES = 1024 * 1024
"""How much may wait for a worker; one that lets more wait has hung."""


class Mailbox:
    """The messages for one worker. Putting one in never waits."""

    def __init__(self, *, max_bytes: int = WAITING_MAX_BYTES) -> None:
        self._waiting = bytearray()
        self._max_bytes = max_bytes
        self._some = trio.Event()
        self._full = trio.Event()

    def send(self, message: Down) -> None:
        """Have a message delivered, unless the box is or was full."""
        if len(self._waiting) > self._max_bytes:
            self._full.set()
        if not self._full.is_set():
            self._waiting += encode(message)
            self._some.set()

    async def wait_full(self) -> None:
        """Return when a message has been lost because the worker does not read."""
        await self._full.wait()

    async def deliver(self, stream: trio.abc.SendStream) -> None:
        """Deliver messages until cancelled or the worker has gone. Leaves the stream open."""
        try:
            while True:
                await self._some.wait()
                self._some = trio.Event()
                lines = bytes(self._waiting)
                self._waiting.clear()
                await stream.send_all(lines)
        except trio.BrokenResourceError:
            return
