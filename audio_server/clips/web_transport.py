"""The way to the server of a stream: connections to addresses that may be reached, and answers as
SHOUTcast 1 gives them.

A name is resolved once for a connection, and each address passes `Addresses` before it is connected
to: so a name that leads elsewhere the next time (DNS rebinding) leads nowhere.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from audio_server.clips.errors import ClipError
from audio_server.clips.web_address import Addresses

_ICY: Final = b"ICY "
_HTTP: Final = b"HTTP/1.0 "


class Transport(httpx2.HTTPTransport):
    """HTTP to the addresses that are allowed.

    A request that the user's environment sends through a proxy goes there: it is the proxy that
    resolves the name, so only names are checked.
    """

    def __init__(self, context: ssl.SSLContext, addresses: Addresses) -> None:
        super().__init__(verify=context)
        backend = _Backend(addresses)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=backend)
        self._proxies = {
            scheme: httpx2.HTTPTransport(verify=context, proxy=proxy)
            for scheme, proxy in getproxies().items()
            if scheme in ("http", "https", "all") and proxy
        }

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """As `HTTPTransport`."""
        proxy = self._proxies.get(request.url.scheme) or self._proxies.get("all")
        if proxy is not None and not proxy_bypass(request.url.host):
            return proxy.handle_request(request)
        return super().handle_request(request)

    def close(self) -> None:
        """As `HTTPTransport`."""
        for proxy in self._proxies.values():
            proxy.close()
        super().close()


class _Backend(httpcore2.SyncBackend):
    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of a host that answers. Raises `AddressRefused`."""
        failure: Exception | None = None
        for address in _resolved(host, port):
            try:
                self._addresses.check_address(host, address)
                stream = super().connect_tcp(address, port, timeout, local_address, socket_options)
                return _Stream(stream)
            except (ClipError, httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = failure or error
        raise failure or httpcore2.ConnectError("the name has no address")


def _resolved(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error
    return [str(address[0]) for *_, address in found]


class _Stream(httpcore2.NetworkStream):
    """A connection whose answer may begin as those of SHOUTcast 1 do, with `ICY 200 OK`."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream
        self._has_begun = False

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, timeout)
        if self._has_begun:
            return data
        while data and _ICY.startswith(data):
            more = self._stream.read(max_bytes, timeout)
            if not more:
                break
            data += more
        self._has_begun = True
        return _HTTP + data[len(_ICY) :] if data.startswith(_ICY) else data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def without_metadata(parts: Iterable[bytes], interval: int) -> Iterator[bytes]:
    """Yield sound without the titles that a SHOUTcast server puts after each `interval` bytes of
    it: a byte that says how many times 16 bytes follow, and those."""
    left, skipped = interval, 0
    for part in parts:
        sound, at = [], 0
        while at < len(part):
            if skipped:
                at, skipped = at + skipped, max(0, at + skipped - len(part))
            elif left:
                piece = part[at : at + left]
                sound.append(piece)
                at, left = at + len(piece), left - len(piece)
            else:
                at, skipped, left = at + 1, part[at] * 16, interval
        if sound:
            yield b"".join(sound)
