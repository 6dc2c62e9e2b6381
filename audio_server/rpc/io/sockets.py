"""Sockets as a connection uses them: bytes in and out at once, with TLS or without.

`PlainSocket` and `TlsSocket` have one interface, so the poller, the batch writer and back-pressure
are one code for both:

- `fd`, to wait for;
- `read()`: the bytes that are there, b"" at the end, None where there is nothing yet;
- `unread`: the next `read` returns at once, and `fd` does not report it;
- `write(data)`: the number of bytes that were taken from the start of `data`. A call that took
  fewer is followed by one with the rest of them first;
- `end()`: nothing more will be written.

Neither `read` nor `write` blocks. Other streams, such as those in memory, have no `fd` and are used
as trio streams.
"""

from __future__ import annotations

import os
import sys
from typing import TypeAlias

import trio

from audio_server.rpc.io.tls_socket import READ_BYTES, TlsSocket

Transport: TypeAlias = trio.abc.Stream | TlsSocket
"""The bytes under a connection."""


class PlainSocket:
    """A TCP socket without TLS. Does not close it."""

    __slots__ = ("fd",)

    unread = False

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def read(self) -> bytes | None:
        """Return the bytes that are there, None if there are none."""
        try:
            return os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return None

    def write(self, data: bytes | bytearray) -> int:
        """Return the number of bytes that the socket took."""
        try:
            return os.write(self.fd, data)
        except BlockingIOError:
            return 0

    def end(self) -> None:
        """Do nothing: the end of TCP is the end."""


Socket: TypeAlias = PlainSocket | TlsSocket


def socket_of(transport: Transport) -> Socket | None:
    """Return the socket that a transport is; None for other streams."""
    if isinstance(transport, TlsSocket):
        return transport
    if isinstance(transport, trio.SocketStream) and sys.platform != "win32":
        return PlainSocket(transport.socket.fileno())  # which is no file on Windows
    return None


def stream_of(transport: Transport) -> trio.abc.Stream:
    """Return the stream under TLS, or the transport itself where there is no TLS."""
    if isinstance(transport, TlsSocket):
        return transport.stream
    if isinstance(transport, trio.SSLStream):
        below: trio.abc.Stream = transport.transport_stream
        return below
    return transport
