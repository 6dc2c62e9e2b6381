"""Requests that are not right, each as frames on stream 1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from hyperframe.frame import DataFrame
from raw_peer import ECHO, Headers, RawPeer, framed, request_headers

Case = Callable[[RawPeer], Awaitable[None]]


def _headers(headers: Headers) -> Case:
    async def send(peer: RawPeer) -> None:
        await peer.send(peer.headers_frame(1, headers, end=True))

    return send


def _changed(*extra: tuple[str, str], **changed: str | None) -> Case:
    return _headers(request_headers(ECHO, *extra, **changed))


def _body(data: bytes, *extra: tuple[str, str]) -> Case:
    async def send(peer: RawPeer) -> None:
        await peer.open(1, *extra)
        await peer.send(DataFrame(1, data=data, flags=["END_STREAM"]))

    return send


def _without_end(data: bytes) -> Case:
    async def send(peer: RawPeer) -> None:
        await peer.open(1)
        await peer.send(DataFrame(1, data=data))

    return send


async def _bad_trailers(peer: RawPeer) -> None:
    await peer.open(1)
    await peer.send(peer.headers_frame(1, [("x-trailer", "without end of stream")]))


async def _data_after_end(peer: RawPeer) -> None:
    request = peer.headers_frame(1, request_headers(), end=True)
    await peer.send(request, DataFrame(1, data=b"more"))


_good = request_headers()

CASES: dict[str, Case] = {
    "no :method": _changed(_method=None),
    "no :scheme": _changed(_scheme=None),
    "no :path": _changed(_path=None),
    "no :authority": _changed(_authority=None),
    "empty :path": _changed(_path=""),
    ":path without a slash": _changed(_path="test.Echo/Echo"),
    ":method GET": _changed(_method="GET"),
    ":method PUT": _changed(_method="PUT"),
    ":scheme odd": _changed(_scheme="gopher"),
    "two :path": _headers([_good[2], *_good]),
    "two :method": _headers([_good[0], *_good]),
    "unknown pseudo-header": _headers([(":odd", "x"), *_good]),
    "response pseudo-header": _headers([(":status", "200"), *_good]),
    "informational pseudo-header": _headers([(":status", "100"), *_good]),
    "pseudo-header after others": _headers([*_good[1:], _good[0]]),
    "uppercase name": _changed(("X-Upper", "x")),
    "name with a space": _changed(("x y", "x")),
    "empty name": _changed(("", "x")),
    "connection header": _changed(("connection", "close")),
    "transfer-encoding": _changed(("transfer-encoding", "chunked")),
    "value beyond ASCII": _changed(("device_id", "gerät")),
    "value with a newline": _changed(("device_id", "a\nb")),
    "value with NUL": _changed(("device_id", "a\x00b")),
    "bad base64": _changed(("x-bin", "a")),
    "base64 of no alphabet": _changed(("x-bin", "????")),
    "no content-type": _changed(content_type=None),
    "content-type text": _changed(content_type="text/plain"),
    "content-type json": _changed(content_type="application/grpc+json"),
    "content-type grpc-web": _changed(content_type="application/grpc-web"),
    "no te": _changed(te=None),
    "te gzip": _changed(te="gzip"),
    "content-length wrong": _changed(("content-length", "5")),
    "content-length absurd": _changed(("content-length", "many")),
    "timeout without unit": _changed(("grpc-timeout", "10")),
    "timeout without number": _changed(("grpc-timeout", "S")),
    "timeout negative": _changed(("grpc-timeout", "-1S")),
    "timeout too long": _changed(("grpc-timeout", "123456789S")),
    "timeout of no sense": _changed(("grpc-timeout", "soon")),
    "unknown encoding": _body(framed(b""), ("grpc-encoding", "brotli-ish")),
    "unknown encoding, compressed": _body(
        framed(b"x", compressed=1), ("grpc-encoding", "brotli-ish")
    ),
    "compressed without encoding": _body(framed(b"x", compressed=1)),
    "compressed flag of 2": _body(framed(b"x", compressed=2)),
    "truncated message": _body(framed(b"\x08\x01")[:-1]),
    "truncated prefix": _body(b"\x00\x00"),
    "undecodable message": _body(framed(b"\xff\xff\xff")),
    "message too large": _without_end(b"\x00\x7f\xff\xff\xff"),
    "unknown method": _changed(_path="/test.Echo/Other"),
    "unknown service": _changed(_path="/other.Service/Method"),
    "trailers without end": _bad_trailers,
    "DATA after the end": _data_after_end,
}
