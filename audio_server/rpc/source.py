"""Where a connection's bytes come from."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import trio

from audio_server.rpc.turnstile import NEWCOMER, Turnstile

_READ_BYTES = 16 * 1024


class Source:
    """Reads from a transport; from a plain socket with one system call for what is there.

    With a `turnstile` bytes are taken when it lets this source through.
    """

    __slots__ = ("_fd", "_transport", "_turnstile", "_width")

    def __init__(self, transport: trio.abc.Stream, turnstile: Turnstile | None = None) -> None:
        self._transport = transport
        self._turnstile = turnstile
        self._width = NEWCOMER
        self._fd = -1
        if isinstance(transport, trio.SocketStream) and sys.platform != "win32":
            self._fd = transport.socket.fileno()

    async def read(self) -> bytes:
        """The next bytes; b"" when the peer has closed. Raises what the transport raises.

        Cancelling it loses nothing.
        """
        if self._fd < 0:
            return await self._receive()
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            await self._enter()
            try:
                return os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                continue

    async def linger(self) -> None:
        """Say that we are done, and throw away what comes until the peer is done too.

        A socket that is closed with bytes unread is reset, and the reset may overtake the
        GOAWAY that says why. Raises nothing; for plain sockets only.
        """
        if isinstance(self._transport, trio.SocketStream):
            with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                await self._transport.send_eof()
                while await self._transport.receive_some(_READ_BYTES):
                    pass

    async def _receive(self) -> bytes:
        data = bytes(await self._transport.receive_some(_READ_BYTES))
        with trio.CancelScope(shield=True):  # a few turns at most, and these bytes are ours
            await self._enter()
        return data

    async def _enter(self) -> None:
        if self._turnstile is not None:
            await self._turnstile.enter(self._width)
            self._width = 1
