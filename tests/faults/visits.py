"""Every kind of connection that a server can be sent, on blocking sockets.

A visit is a generator: it comes, yields while it is there, and leaves when it is resumed, each in
its own way. So a visitor can be held for longer than the young objects of a server stay young.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.frames import PRESSES, Button, opening

WITHIN_S = 30.0
NO_REQUEST = b"\x01\x02 this is no HTTP\r\n\r\n"
ABORT = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Ports:
    """Where a server listens, on loopback; over TLS or not."""

    grpc: int
    http: int
    token: str | None = None
    """The operators', where there is TLS."""

    @property
    def is_tls(self) -> bool:
        return self.token is not None


Visit: TypeAlias = Callable[[Ports], Iterator[None]]


@contextmanager
def tcp(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock


def client_context(alpn: str | None) -> ssl.SSLContext:
    """A client that trusts everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn is not None:
        context.set_alpn_protocols([alpn])
    return context


H2, HTTP1, NO_ALPN = client_context("h2"), client_context("http/1.1"), client_context(None)
WEAK = client_context("h2")
WEAK.maximum_version = ssl.TLSVersion.TLSv1_2
WEAK.set_ciphers("AES256-GCM-SHA384")  # without forward secrecy


@contextmanager
def _secured(sock: socket.socket, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    if context is None:
        yield sock
    else:
        with context.wrap_socket(sock) as secured:
            yield secured


@contextmanager
def grpc(ports: Ports) -> Iterator[socket.socket]:
    """A connection to the gRPC port, over TLS where it has that."""
    with tcp(ports.grpc) as sock, _secured(sock, H2 if ports.is_tls else None) as secured:
        yield secured


@contextmanager
def pages(ports: Ports) -> Iterator[socket.socket]:
    """The same to the pages."""
    with tcp(ports.http) as sock, _secured(sock, HTTP1 if ports.is_tls else None) as secured:
        yield secured


def read(sock: socket.socket, until: bytes) -> bytes:
    """What comes, to these bytes or to the end."""
    data = b""
    with suppress(ConnectionError, ssl.SSLError):
        while until not in data and (part := sock.recv(65536)):
            data += part
    return data


def read_to_end(sock: socket.socket) -> None:
    """Wait until the server has closed."""
    with suppress(ConnectionError, ssl.SSLError):
        while sock.recv(65536):
            pass


def send_too_much(sock: socket.socket, data: bytes) -> None:
    """Send what the server refuses, perhaps before all of it has left."""
    with suppress(ConnectionError, ssl.SSLError):
        sock.sendall(data)


def reset(sock: socket.socket) -> None:
    """Leave by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)


def request(ports: Ports, line: str, *more: str, body: bytes = b"") -> bytes:
    login = [] if ports.token is None else [f"authorization: Bearer {ports.token}"]
    head = [line, f"host: 127.0.0.1:{ports.http}", *login, *more]
    return "\r\n".join([*head, "", ""]).encode() + body


# -- before anything is said


def grpc_silent(ports: Ports) -> Iterator[None]:
    with tcp(ports.grpc):
        yield


def grpc_reset(ports: Ports) -> Iterator[None]:
    with tcp(ports.grpc) as sock:
        yield
        reset(sock)


def grpc_nonsense(ports: Ports) -> Iterator[None]:
    with tcp(ports.grpc) as sock:
        yield
        sock.sendall(NO_REQUEST)
        read_to_end(sock)


def pages_silent(ports: Ports) -> Iterator[None]:
    with tcp(ports.http):
        yield


def pages_reset(ports: Ports) -> Iterator[None]:
    with tcp(ports.http) as sock:
        yield
        reset(sock)


def pages_nonsense(ports: Ports) -> Iterator[None]:
    with tcp(ports.http) as sock:
        yield
        sock.sendall(NO_REQUEST)
        read_to_end(sock)


# -- TLS that comes to nothing


def _hello(port: int) -> Iterator[None]:
    """The first flight of a handshake, and no more."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    half = H2.wrap_bio(incoming, outgoing)
    with suppress(ssl.SSLWantReadError):
        half.do_handshake()
    with tcp(port) as sock:
        sock.sendall(outgoing.read())
        yield


def _refused(port: int, context: ssl.SSLContext) -> Iterator[None]:
    """A handshake that the server does not finish, or ends the connection after."""
    with tcp(port) as sock:
        yield
        with suppress(ssl.SSLError, ConnectionError), _secured(sock, context) as secured:
            read_to_end(secured)


def grpc_unfinished(ports: Ports) -> Iterator[None]:
    yield from _hello(ports.grpc)


def grpc_weak_tls(ports: Ports) -> Iterator[None]:
    yield from _refused(ports.grpc, WEAK)


def grpc_other_alpn(ports: Ports) -> Iterator[None]:
    yield from _refused(ports.grpc, NO_ALPN)


def pages_unfinished(ports: Ports) -> Iterator[None]:
    yield from _hello(ports.http)


def pages_weak_tls(ports: Ports) -> Iterator[None]:
    yield from _refused(ports.http, WEAK)


# -- gRPC


def grpc_idle(ports: Ports) -> Iterator[None]:
    with grpc(ports):
        yield


def grpc_preface(ports: Ports) -> Iterator[None]:
    with grpc(ports) as sock:
        sock.sendall(opening("nobody", "visits")[:52])
        read(sock, b"\0\0\0\4\1\0\0\0\0")
        yield


def grpc_device(ports: Ports) -> Iterator[None]:
    """A device that plays, and vanishes."""
    with grpc(ports) as sock:
        name = f"visitor-{sock.getsockname()[1]}"
        sock.sendall(opening(name, "visits") + PRESSES[Button.PLAY])
        read(sock, b"\0" * 3)
        yield


# -- HTTP


def pages_idle(ports: Ports) -> Iterator[None]:
    with pages(ports):
        yield


def pages_answered(ports: Ports) -> Iterator[None]:
    """Two requests on one connection, which is kept and then left."""
    with pages(ports) as sock:
        for _ in range(2):
            sock.sendall(request(ports, "GET /healthz HTTP/1.1"))
            assert b"ok\n" in read(sock, b"ok\n")
        yield


def pages_closed(ports: Ports) -> Iterator[None]:
    """One request, after which the server closes."""
    with pages(ports) as sock:
        yield
        sock.sendall(request(ports, "GET /healthz HTTP/1.1", "connection: close"))
        read_to_end(sock)


def pages_bad_line(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        yield
        sock.sendall(NO_REQUEST)
        read_to_end(sock)


def pages_half_request(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        sock.sendall(request(ports, "GET / HTTP/1.1")[:-2])
        yield


def pages_giant_header(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        yield
        send_too_much(sock, request(ports, "GET / HTTP/1.1", "x: " + "x" * 200_000))
        read_to_end(sock)


def pages_half_body(ports: Ports) -> Iterator[None]:
    """A login whose body never comes to its end."""
    with pages(ports) as sock:
        sock.sendall(
            request(
                ports,
                "POST /login HTTP/1.1",
                "content-type: application/x-www-form-urlencoded",
                "content-length: 50",
                body=b"token=",
            )
        )
        yield


def pages_bad_chunk(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        yield
        chunked = "transfer-encoding: chunked"
        sock.sendall(request(ports, "POST /login HTTP/1.1", chunked, body=b"zz\r\n"))
        read_to_end(sock)


def pages_http2(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        yield
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        read_to_end(sock)


def pages_no_route(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        sock.sendall(request(ports, "GET /static/none HTTP/1.1"))
        read(sock, b"\r\n\r\n")
        yield


def pages_events(ports: Ports) -> Iterator[None]:
    """A stream of events that is left by RST."""
    with pages(ports) as sock:
        sock.sendall(request(ports, "GET /api/devices/changes HTTP/1.1"))
        read(sock, b"data:")
        yield
        reset(sock)


# -- WebSockets


def upgrade(ports: Ports, target: str, *, deflate: bool = False, body: bytes = b"") -> bytes:
    scheme = "https" if ports.is_tls else "http"
    more = ["sec-websocket-extensions: permessage-deflate"] if deflate else []
    return request(
        ports,
        f"GET {target} HTTP/1.1",
        f"origin: {scheme}://127.0.0.1:{ports.http}",
        "upgrade: websocket",
        "connection: upgrade",
        f"sec-websocket-key: {base64.b64encode(os.urandom(16)).decode()}",
        "sec-websocket-version: 13",
        *more,
        body=body,
    )


def ws_frame(payload: bytes, opcode: int = 1, *, compressed: bool = False) -> bytes:
    """A masked frame of a client's."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([0x80 | 0x40 * compressed | opcode]) + length + bytes(4) + payload


@contextmanager
def page(ports: Ports, *, deflate: bool) -> Iterator[socket.socket]:
    """A page whose device is on."""
    with pages(ports) as sock:
        name = f"page-{sock.getsockname()[1]}"
        sock.sendall(upgrade(ports, f"/device/socket?id={name}", deflate=deflate))
        assert b" 101 " in read(sock, b"\r\n\r\n")
        sock.sendall(ws_frame(b'{"power": true}'))
        yield sock


def ws_closed(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=False) as sock:
        yield
        sock.sendall(ws_frame(b"\x03\xe9", 8))
        read_to_end(sock)


def ws_deflated(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=True) as sock:
        yield
        sock.sendall(ws_frame(b"\x03\xe9", 8))
        read_to_end(sock)


def ws_vanished(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=True) as sock:
        yield
        reset(sock)


def ws_nonsense(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=True) as sock:
        yield
        sock.sendall(ws_frame(b"no JSON"))
        read_to_end(sock)


def ws_bad_deflate(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=True) as sock:
        yield
        sock.sendall(ws_frame(b"\xff\xff\xff\xff", compressed=True))
        read_to_end(sock)


def ws_too_large(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=False) as sock:
        yield
        send_too_much(sock, ws_frame(b"x" * 60_000))
        read(sock, b"\x88")


def ws_bad_frame(ports: Ports) -> Iterator[None]:
    with page(ports, deflate=False) as sock:
        yield
        sock.sendall(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
        read_to_end(sock)


def ws_no_device(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        sock.sendall(upgrade(ports, "/device/socket?id=", deflate=True))
        read(sock, b"\r\n\r\n")
        yield


def ws_no_key(ports: Ports) -> Iterator[None]:
    with pages(ports) as sock:
        yield
        data = upgrade(ports, "/device/socket?id=x").replace(b"sec-websocket-key", b"x-key")
        sock.sendall(data)
        read(sock, b"\r\n\r\n")


def ws_eager(ports: Ports) -> Iterator[None]:
    """Frames right behind the request."""
    with pages(ports) as sock:
        name = f"eager-{sock.getsockname()[1]}"
        early = ws_frame(b'{"power": true}')
        sock.sendall(upgrade(ports, f"/device/socket?id={name}", deflate=True, body=early))
        yield


_BOTH: tuple[Visit, ...] = (
    grpc_silent,
    grpc_reset,
    grpc_nonsense,
    grpc_idle,
    grpc_preface,
    grpc_device,
    pages_silent,
    pages_reset,
    pages_nonsense,
    pages_idle,
    pages_answered,
    pages_closed,
    pages_bad_line,
    pages_half_request,
    pages_giant_header,
    pages_half_body,
    pages_bad_chunk,
    pages_http2,
    pages_no_route,
    pages_events,
    ws_closed,
    ws_deflated,
    ws_vanished,
    ws_nonsense,
    ws_bad_deflate,
    ws_too_large,
    ws_bad_frame,
    ws_no_device,
    ws_no_key,
    ws_eager,
)
_TLS: tuple[Visit, ...] = (
    grpc_unfinished,
    grpc_weak_tls,
    grpc_other_alpn,
    pages_unfinished,
    pages_weak_tls,
)


def _named(visits: tuple[Visit, ...]) -> Mapping[str, Visit]:
    return {visit.__name__: visit for visit in visits}


PLAIN, TLS = _named(_BOTH), _named(_BOTH + _TLS)
"""The kinds that a server without TLS and one with TLS can be sent."""

SILENT = ("grpc_silent", "grpc_idle", "grpc_preface", "pages_silent", "pages_half_request")
SILENT_TLS = (*SILENT, "grpc_unfinished", "pages_unfinished")
"""The kinds that a server gives up after a time."""


def come(visit: Visit, ports: Ports, times: int, *, hold: Callable[[], object]) -> None:
    """So many visitors come, are there together until `hold` returns, and leave."""
    visitors = [visit(ports) for _ in range(times)]
    for visitor in visitors:
        next(visitor)
    hold()
    for visitor in visitors:
        assert next(visitor, True)
