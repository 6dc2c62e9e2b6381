"""Frames between two processes of a machine: a length, then msgpack."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import trio

READ_BYTES = 64 * 1024

ROOM_BYTES = 256 * 1024
"""How much may wait to be sent before an answer of many parts waits too."""

_LENGTH = struct.Struct("=I")


def frame(*fields: Any) -> bytes:
    """Return a frame."""
    body = msgspec.msgpack.encode(fields)
    return _LENGTH.pack(len(body)) + body


class FrameReader:
    """Joins the pieces in which a stream is read, and cuts them into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes | bytearray) -> Iterator[list[Any]]:
        """Yield the frames that `data` completes."""
        rest, at = self._rest, 0
        rest += data
        while len(rest) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest, at)
            end = at + _LENGTH.size + length
            if len(rest) < end:
                break
            yield msgspec.msgpack.decode(bytes(rest[at + _LENGTH.size : end]))
            at = end
        del rest[:at]


class FrameLink:
    """One end of a stream. Sending never waits."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._waiting = bytearray()
        self._some = trio.Event()
        self._room = trio.Event()

    @property
    def waiting_bytes(self) -> int:
        """How much the other process has not taken."""
        return len(self._waiting)

    def send(self, *fields: Any) -> None:
        """Have a frame sent after those before it."""
        self._waiting += frame(*fields)
        self._some.set()

    async def wait_room(self) -> None:
        """Return when little waits to be sent."""
        while len(self._waiting) > ROOM_BYTES:
            await self._room.wait()

    async def run(self, hear: Callable[..., None]) -> None:
        """Send frames, and call `hear` with the fields of each that comes, until the other end is
        closed. Closes the stream."""
        async with self._stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._send)
            reader = FrameReader()
            try:
                while data := await self._stream.receive_some(READ_BYTES):
                    for fields in reader.feed(data):
                        hear(*fields)
            except trio.BrokenResourceError:
                pass
            nursery.cancel_scope.cancel()

    async def _send(self) -> None:
        try:
            while True:
                await self._some.wait()
                self._some = trio.Event()
                data, self._waiting = self._waiting, bytearray()
                await self._stream.send_all(data)
                self._room.set()
                self._room = trio.Event()
        except trio.BrokenResourceError:
            return  # the receiving half ends too
