"""A peer made of hyperframe and hpack alone: it can say anything, right or wrong."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, TypeVar

import trio
from hpack import Decoder, Encoder
from http2_frames import PREFACE
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

ECHO = "/test.Echo/Echo"

Headers = list[tuple[str, str]]
F = TypeVar("F", bound=Frame)


def request_headers(path: str = ECHO, *extra: tuple[str, str], **changed: str | None) -> Headers:
    """The headers of a good request; `changed` replaces or (None) leaves out some of them.

    A name is written as an identifier: `_method` is `:method`, `content_type` is `content-type`.
    """
    fields: dict[str, str | None] = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "test",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    for name, value in changed.items():
        fields[(":" + name[1:] if name.startswith("_") else name).replace("_", "-")] = value
    return [(name, value) for name, value in fields.items() if value is not None] + list(extra)


def framed(message: bytes, *, compressed: int = 0) -> bytes:
    """A gRPC message with its length prefix."""
    return struct.pack(">BI", compressed, len(message)) + message


class Closed(Exception):
    """The other side has closed the connection."""


class RawPeer:
    """Sends frames as they are given, and keeps those that come.

    It acknowledges nothing and keeps to no window; tests say what it does.
    """

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.transport = transport
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.frames: deque[Frame] = deque()
        self.headers: dict[int, list[dict[str, str]]] = {}
        self.data: dict[int, bytearray] = {}
        self._buffer = bytearray()

    # Sending

    async def greet(self, settings: dict[int, int] | None = None, *, client: bool = True) -> None:
        """Say the preface and SETTINGS."""
        frame = SettingsFrame(0, settings=settings or {}).serialize()
        await self.raw((PREFACE if client else b"") + frame)

    async def raw(self, data: bytes) -> None:
        await self.transport.send_all(data)

    async def send(self, *frames: Frame) -> None:
        await self.raw(b"".join(frame.serialize() for frame in frames))

    def headers_frame(
        self, stream_id: int, headers: Iterable[tuple[Any, Any]], *, end: bool = False
    ) -> HeadersFrame:
        flags = ["END_HEADERS", *(["END_STREAM"] if end else [])]
        # hpack would lower no case and check no value: what is wrong here arrives wrong.
        return HeadersFrame(stream_id, data=self.encoder.encode(list(headers)), flags=flags)

    async def open(
        self, stream_id: int, *extra: tuple[str, str], end: bool = False, **changed: Any
    ) -> None:
        """Begin a request."""
        path = changed.pop("path", ECHO)
        headers = request_headers(path, *extra, **changed)
        await self.send(self.headers_frame(stream_id, headers, end=end))

    async def give(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Send one DATA frame."""
        await self.send(DataFrame(stream_id, data=data, flags=["END_STREAM"] if end else []))

    async def message(self, stream_id: int, message: bytes, *, end: bool = False) -> None:
        """Send one gRPC message in one DATA frame."""
        await self.give(stream_id, framed(message), end=end)

    async def reset(self, stream_id: int, code: int = 8) -> None:
        await self.send(RstStreamFrame(stream_id, error_code=code))

    async def widen(self, stream_id: int, size: int) -> None:
        await self.send(WindowUpdateFrame(stream_id, window_increment=size))

    async def settings(self, settings: dict[int, int]) -> None:
        # By hand: hyperframe knows settings of eight bits only.
        body = b"".join(struct.pack(">HL", code, value) for code, value in settings.items())
        await self.raw(struct.pack(">HBBBI", 0, len(body), 4, 0, 0) + body)

    async def ping(self, data: bytes = b"12345678") -> None:
        await self.send(PingFrame(0, opaque_data=data))

    # Receiving

    async def take_preface(self) -> None:
        """As a server: take the client's preface."""
        while len(self._buffer) < len(PREFACE):
            self._buffer += await self.transport.receive_some(len(PREFACE) - len(self._buffer))
        assert self._buffer == PREFACE
        self._buffer.clear()

    async def read(self) -> None:
        """Take what comes next. Raises `Closed` at the end."""
        try:
            data = await self.transport.receive_some(65536)
        except trio.BrokenResourceError:
            data = b""
        if not data:
            raise Closed
        self._buffer += data
        while self._cut():
            pass

    def _cut(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 9:
            return False
        frame, length = Frame.parse_frame_header(memoryview(bytes(buffer[:9])))
        if len(buffer) < 9 + length:
            return False
        frame.parse_body(memoryview(bytes(buffer[9 : 9 + length])))
        del buffer[: 9 + length]
        self.frames.append(frame)
        if isinstance(frame, HeadersFrame):
            decoded = {str(k): str(v) for k, v in self.decoder.decode(frame.data)}
            self.headers.setdefault(frame.stream_id, []).append(decoded)
        elif isinstance(frame, DataFrame):
            self.data.setdefault(frame.stream_id, bytearray()).extend(frame.data)
        return True

    async def next(self, kind: type[F], stream_id: int | None = None) -> F:
        """The next frame of a kind (on a stream); those before it are passed over."""
        while True:
            while self.frames:
                frame = self.frames.popleft()
                if isinstance(frame, kind) and stream_id in (None, frame.stream_id):
                    return frame
            await self.read()

    async def quiet(self) -> list[Frame]:
        """All frames until nothing more comes (a millisecond of virtual time), or the end."""
        with trio.move_on_after(0.001) as scope:
            while True:
                try:
                    await self.read()
                except Closed:
                    break
                scope.deadline = trio.current_time() + 0.001
        frames = list(self.frames)
        self.frames.clear()
        return frames

    async def closed(self) -> list[Frame]:
        """Wait for the end of the connection; the frames until then."""
        while True:
            try:
                await self.read()
            except Closed:
                break
        frames = list(self.frames)
        self.frames.clear()
        return frames

    async def goaway(self) -> GoAwayFrame:
        """The next GOAWAY."""
        return await self.next(GoAwayFrame)

    async def ended_with(self) -> tuple[int, bytes]:
        """Code and text of the GOAWAY with which the connection ends."""
        goaway = await self.goaway()
        await self.closed()
        return int(goaway.error_code), bytes(goaway.additional_data)

    async def status(self, stream_id: int) -> int:
        """The grpc-status with which a call ends."""
        return int((await self.trailers(stream_id))["grpc-status"])

    async def trailers(self, stream_id: int) -> dict[str, str]:
        """The last headers of a call."""
        while True:
            for decoded in self.headers.get(stream_id, ()):
                if "grpc-status" in decoded:
                    return decoded
            await self.read()

    async def received(self, stream_id: int, size: int) -> bytes:
        """The first `size` bytes of DATA of a stream, once they are there."""
        while len(self.data.get(stream_id, b"")) < size:
            await self.read()
        return bytes(self.data[stream_id][:size])

    async def reset_code(self, stream_id: int) -> int:
        """The code of the reset of a stream."""
        return int((await self.next(RstStreamFrame, stream_id)).error_code)
