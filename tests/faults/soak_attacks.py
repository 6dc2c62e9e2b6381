"""What hostile peers send: each attack gives bytes, piece by piece, at a bounded rate."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from itertools import count

import trio
from hpack import Encoder
from http2_frames import PREFACE, frame

from benchmarks.frames import EVENTS, Kind, opening

_PRIORITY, _CONTINUATION = 2, 9
_PAUSE_S = 0.02
_BURST = 50

Attack = Callable[[str], AsyncIterator[bytes]]


HELLO = PREFACE + frame(Kind.SETTINGS, 0, 0)


def _request(path: str = "/com.opalcamera.test.DeviceService/EventStream") -> bytes:
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "soak")]
    fields += [("te", "trailers"), ("content-type", "application/grpc"), ("device_id", "foe")]
    return Encoder().encode(fields)


async def _flood(piece: bytes) -> AsyncIterator[bytes]:
    while True:
        yield piece * _BURST
        await trio.sleep(_PAUSE_S)


async def _trickle(data: bytes) -> AsyncIterator[bytes]:
    for byte in data:
        yield bytes([byte])
        await trio.sleep(1.0)


def _flooding(piece: bytes) -> Attack:
    async def attack(device_id: str) -> AsyncIterator[bytes]:
        yield opening(device_id, "soak")
        async for data in _flood(piece):
            yield data

    return attack


def _once(*pieces: bytes, trickles: bytes = b"") -> Attack:
    async def attack(device_id: str) -> AsyncIterator[bytes]:
        yield b"".join(pieces)
        async for data in _trickle(trickles):
            yield data
        await trio.sleep(3.0)

    return attack


async def _reset_rapidly(device_id: str) -> AsyncIterator[bytes]:
    yield HELLO
    for stream in count(1, 2):
        yield (
            frame(Kind.HEADERS, 4, stream, _request())
            + frame(Kind.RST_STREAM, 0, stream, b"\0\0\0\x08")
        )
        await trio.sleep(0.002)


async def _open_streams(device_id: str) -> AsyncIterator[bytes]:
    yield HELLO
    for stream in count(1, 2):
        yield frame(Kind.HEADERS, 4, stream, _request())
        await trio.sleep(0.002)


async def _promise_giant(device_id: str) -> AsyncIterator[bytes]:
    yield opening(device_id, "soak")
    yield frame(Kind.DATA, 0, EVENTS, b"\0\xff\xff\xff\xff")
    for _ in range(20):
        yield frame(Kind.DATA, 0, EVENTS, bytes(2000))
        await trio.sleep(0.1)


async def _talk_nonsense(device_id: str) -> AsyncIterator[bytes]:
    yield HELLO
    while True:
        yield os.urandom(500)
        await trio.sleep(_PAUSE_S)


async def _bomb(device_id: str) -> AsyncIterator[bytes]:
    """A long field, put in the table once and named a thousand times (HPACK bomb)."""
    yield HELLO
    field = b"\x40\x01a\x7f\xe1\x16" + b"x" * 3040
    for stream in count(1, 2):
        yield frame(Kind.HEADERS, 4, stream, field + b"\xbe" * 3000)
        await trio.sleep(0.05)


ATTACKS: dict[str, Attack] = {
    "PING flood": _flooding(frame(Kind.PING, 0, 0, bytes(8))),
    "SETTINGS flood": _flooding(frame(Kind.SETTINGS, 0, 0)),
    "PRIORITY flood": _flooding(frame(_PRIORITY, 0, 1, bytes(5))),
    "empty DATA flood": _flooding(frame(Kind.DATA, 0, EVENTS)),
    "WINDOW_UPDATE flood": _flooding(frame(Kind.WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")),
    "unset events flood": _flooding(frame(Kind.DATA, 0, EVENTS, bytes(5))),
    "unknown frames": _flooding(frame(0xBE, 0, 0, bytes(8))),
    "rapid reset": _reset_rapidly,
    "many streams": _open_streams,
    "giant prefix": _promise_giant,
    "nonsense": _talk_nonsense,
    "HPACK bomb": _bomb,
    "slow preface": _once(trickles=PREFACE),
    "silence": _once(),
    "not HTTP/2": _once(b"GET / HTTP/1.1\r\nHost: soak\r\n\r\n"),
    "slow header block": _once(HELLO, frame(Kind.HEADERS, 0, 1, b"\x82"), trickles=bytes(20)),
    "CONTINUATION flood": _once(
        HELLO, frame(Kind.HEADERS, 0, 1), *[frame(_CONTINUATION, 0, 1)] * 1000
    ),
    "huge frame": _once(HELLO, b"\xff\xff\xff\0\0\0\0\0\x01"),
    "window overflow": _once(HELLO, frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff") * 2),
    "truncated message": _once(
        HELLO, frame(Kind.HEADERS, 4, 1, _request()), frame(Kind.DATA, 1, 1, b"\0\0\0")
    ),
    "undecodable message": _once(
        HELLO, frame(Kind.HEADERS, 4, 1, _request()), frame(Kind.DATA, 0, 1, b"\0\0\0\0\2\xff\xff")
    ),
}
