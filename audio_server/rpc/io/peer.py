"""The other end of a connection."""

from __future__ import annotations

from typing import Any

import trio

from audio_server.rpc.io.sockets import Transport, stream_of
from audio_server.rpc.io.tls_socket import TlsSocket


class Peer:
    """The peer's address and certificate, as far as the transport has them."""

    __slots__ = ("_address", "_tls", "end_reason")

    def __init__(self, transport: Transport) -> None:
        self.end_reason = ""
        """The reason of the end of the connection, once it has ended."""
        self._address = _address_of(stream_of(transport))
        self._tls: TlsSocket | trio.SSLStream[Any] | None = None
        self.goes_on_over(transport)

    def goes_on_over(self, transport: Transport) -> None:
        """Take the certificate from this transport, such as TLS over the first one."""
        self._tls = transport if isinstance(transport, TlsSocket | trio.SSLStream) else None

    def comes_from(self, host: str, port: int) -> None:
        """The socket's address is a proxy's, and this one is the client's."""
        self._address = host, port

    def addr(self) -> tuple[object, ...] | None:
        """The address (host, port, ...); None where there is none or it is gone."""
        return self._address

    def cert(self) -> dict[str, Any] | None:
        """The peer's certificate as `ssl.SSLSocket.getpeercert` gives it; None without one that
        was verified."""
        return (self._tls.getpeercert() or None) if self._tls is not None else None

    @property
    def host(self) -> str:
        """The address without its port."""
        return str(self._address[0]) if self._address else "local"

    def __str__(self) -> str:
        return f"{self._address[0]}:{self._address[1]}" if self._address else "local"


def _address_of(transport: trio.abc.Stream) -> tuple[object, ...] | None:
    if not isinstance(transport, trio.SocketStream):
        return None
    try:
        address = transport.socket.getpeername()
    except OSError:
        return None
    return address if isinstance(address, tuple) else None
