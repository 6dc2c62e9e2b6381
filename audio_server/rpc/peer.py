"""Who is at the other end of a connection."""

from __future__ import annotations

import trio


class Peer:
    """The peer's address, as far as the transport has one."""

    __slots__ = ("_address",)

    def __init__(self, transport: trio.abc.Stream) -> None:
        self._address = _address_of(transport)

    def addr(self) -> tuple[object, ...] | None:
        """The socket address (host, port, ...); None where there is none or it is gone."""
        return self._address

    def __str__(self) -> str:
        return f"{self._address[0]}:{self._address[1]}" if self._address else "local"


def _address_of(transport: trio.abc.Stream) -> tuple[object, ...] | None:
    if isinstance(transport, trio.SSLStream):
        transport = transport.transport_stream
    if not isinstance(transport, trio.SocketStream):
        return None
    try:
        address = transport.socket.getpeername()
    except OSError:
        return None
    return address if isinstance(address, tuple) else None
