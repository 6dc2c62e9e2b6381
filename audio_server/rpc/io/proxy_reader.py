"""Reading the header of the PROXY protocol from a socket, and not one byte more."""

from __future__ import annotations

from socket import MSG_PEEK

import trio

from audio_server.rpc.proxy_header import (
    MOST_BYTES,
    ClientAddress,
    HeaderParser,
    ProxyHeaderError,
)


async def read_client(transport: trio.SocketStream, within_s: float) -> ClientAddress | None:
    """Return the client that the header at the start of a connection names; None for none.

    Raises `ProxyHeaderError` for a bad header and for one that is not whole in time, `OSError`
    where the peer is gone before its first byte, as a check does whether the port is open. A cancel
    loses the bytes that were read of the header.
    """
    parser = HeaderParser()
    # `fail_after` would leave a cycle (`process.socket_errors`)
    with trio.move_on_after(within_s):
        await _read_into(parser, transport.socket)
        return parser.client
    raise ProxyHeaderError("no whole header in time")


async def _read_into(parser: HeaderParser, sock: trio.socket.SocketType) -> None:
    has_begun = False
    while not parser.is_complete:
        data = await sock.recv(MOST_BYTES, MSG_PEEK)
        if not data and has_begun:
            raise ProxyHeaderError("the header ends early")
        if not data:
            raise ConnectionResetError
        has_begun = True
        # The rest is TLS or HTTP/2, and stays in the socket.
        await sock.recv(parser.take(data))
