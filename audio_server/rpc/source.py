"""Where a connection's bytes come from."""

from __future__ import annotations

import os
import sys

import trio

_READ_BYTES = 16 * 1024


class Source:
    """Reads from a transport; from a plain socket with one system call for what is there."""

    __slots__ = ("_fd", "_transport")

    def __init__(self, transport: trio.abc.Stream) -> None:
        self._transport = transport
        self._fd = -1
        if isinstance(transport, trio.SocketStream) and sys.platform != "win32":
            self._fd = transport.socket.fileno()

    async def read(self) -> bytes:
        """The next bytes; b"" when the peer has closed. Raises what the transport raises.

        Cancelling it loses nothing.
        """
        if self._fd < 0:
            return bytes(await self._transport.receive_some(_READ_BYTES))
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            try:
                return os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                continue
