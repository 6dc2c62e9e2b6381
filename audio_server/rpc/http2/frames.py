"""Bytes of a peer cut into whole HTTP/2 frames, before h2 sees any of them.

h2 keeps the protocol's state; this reader in front of it refuses frames that no good peer sends
and h2 would buffer, count or fail on: overlong frames, endless header blocks, unknown types. It
holds at most one frame, and the bytes that were read with it (RFC 9113 section 4).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from h2.errors import ErrorCodes

from audio_server.rpc.errors import PeerError
from audio_server.rpc.limits import Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_FRAME_BYTES = 16384
"""SETTINGS_MAX_FRAME_SIZE as it is without being advertised (RFC 9113 section 6.5.2)."""

LAST_POSSIBLE_STREAM = 2**31 - 1

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE = range(9)
CONTINUATION = 9
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
FRAME_HEADER_BYTES = 9
_header_at = struct.Struct(">BHBBI").unpack_from
_HEADER = struct.Struct(">IBI")
"""Size and kind together, flags, stream."""
_GOAWAY = struct.Struct(">II")
"""Last stream, code."""
_WRONG_SIZE = "a frame of a wrong size"
_SIZES = {PRIORITY: 5, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}


class Frame(NamedTuple):
    """One frame: its header's fields, and all of its bytes, header included."""

    type: int
    flags: int
    stream_id: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        return self.raw[FRAME_HEADER_BYTES:]


def frame_header(size: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Return the header of a frame with a payload of `size` bytes."""
    return _HEADER.pack(size << 8 | kind, flags, stream_id)


def write_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return frame_header(len(payload), kind, flags, stream_id) + payload


def goaway_words(goaway: Frame) -> tuple[str, bytes]:
    """Return the code of a GOAWAY by its name, empty for NO_ERROR, and the peer's own words."""
    code, words = int.from_bytes(goaway.payload[4:8], "big"), goaway.payload[8:]
    try:
        return ErrorCodes(code).name if code else "", words
    except ValueError:
        return str(code), words


def goaway_frame(code: ErrorCodes, reason: str, last_stream_id: int) -> bytes:
    """Return a GOAWAY (section 6.8)."""
    return write_frame(GOAWAY, 0, 0, _GOAWAY.pack(last_stream_id, code) + reason.encode())


class FrameReader:
    """Collects bytes and gives whole frames; raises `PeerError` where the peer is to blame."""

    __slots__ = ("_at", "_block_bytes", "_block_frames", "_block_stream", "_data", "_limits",
                 "_preface", "settled")  # fmt: skip

    def __init__(self, limits: Limits, *, client_side: bool) -> None:
        self._limits = limits
        self._data = b""
        self._at = 0  # where in the data the next frame begins
        self._preface = b"" if client_side else PREFACE
        self._block_stream = 0
        self._block_frames = 0
        self._block_bytes = 0
        self.settled = False
        """Whether the peer's preface and SETTINGS have come."""

    @property
    def in_header_block(self) -> bool:
        """Whether a header block was begun and not yet ended."""
        return self._block_stream != 0

    @property
    def is_drained(self) -> bool:
        """Whether no byte is left, so that `next` has no frame."""
        return not self._data

    def add(self, data: bytes) -> None:
        """Add bytes of the peer. Call `next` until it returns no frame before the next call of
        this."""
        self._data = self._data[self._at :] + data
        self._at = 0

    def next(self) -> Frame | None:
        """The next frame that is whole; those of unknown types are too (section 5.5)."""
        if self._preface and not self._take_preface():
            return None
        at, have = self._at, len(self._data)
        if have - at < FRAME_HEADER_BYTES:
            self.add(b"")  # bytes that were read are not kept
            return None
        high, low, kind, flags, stream_id = _header_at(self._data, at)
        length = high << 16 | low
        if length > MAX_FRAME_BYTES:
            raise PeerError(ErrorCodes.FRAME_SIZE_ERROR, _WRONG_SIZE, f"{length} bytes")
        end = at + FRAME_HEADER_BYTES + length
        if have < end:
            return None
        frame = Frame(kind, flags, stream_id & 0x7FFFFFFF, self._data[at:end])
        if end < have:
            self._at = end
        else:
            self._data, self._at = b"", 0
        if kind != DATA or self._block_stream or not self.settled:
            self._check_order(frame)
            _check_size(frame)
        return frame

    def _take_preface(self) -> bool:
        got = self._data[: len(PREFACE)]
        if not PREFACE.startswith(got):
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "not an HTTP/2 preface")
        if len(got) < len(PREFACE):
            return False
        self._at = len(PREFACE)
        self._preface = b""
        return True

    def _check_order(self, frame: Frame) -> None:
        if not self.settled:
            if frame.type != SETTINGS or frame.flags & ACK:
                raise PeerError(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.settled = True
        elif self._block_stream:
            self._check_continuation(frame)
        elif frame.type == CONTINUATION:
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "CONTINUATION without a header block")
        elif frame.type == PUSH_PROMISE:
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "a PUSH_PROMISE that was not allowed")
        elif frame.type == HEADERS and not frame.flags & END_HEADERS:
            self._block_stream = frame.stream_id
            self._block_frames = 0
            self._block_bytes = len(frame.raw)

    def _check_continuation(self, frame: Frame) -> None:
        if frame.type != CONTINUATION or frame.stream_id != self._block_stream:
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "a frame inside a header block")
        self._block_frames += 1
        self._block_bytes += len(frame.raw)
        if (
            self._block_frames > self._limits.max_continuations
            or self._block_bytes > self._limits.max_header_block_bytes
        ):
            raise PeerError(ErrorCodes.ENHANCE_YOUR_CALM, "a header block without end")
        if frame.flags & END_HEADERS:
            self._block_stream = 0


def _check_size(frame: Frame) -> None:
    """Frames of a fixed size must have it (sections 6.3 to 6.9)."""
    size = len(frame.raw) - FRAME_HEADER_BYTES
    if frame.type == SETTINGS:
        wrong = size != 0 if frame.flags & ACK else size % 6 != 0
    elif frame.type == GOAWAY:
        wrong = size < 8
    else:
        wrong = size != _SIZES.get(frame.type, size)
    if wrong:
        detail = f"{size} bytes in a frame of type {frame.type}"
        raise PeerError(ErrorCodes.FRAME_SIZE_ERROR, _WRONG_SIZE, detail)
