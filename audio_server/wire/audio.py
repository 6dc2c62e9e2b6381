"""Opus packets as the bytes that travel: gRPC length-prefixed `AudioPacket` messages.

Sound is framed once, when a clip is loaded; sending it is then a matter of slicing bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from audio_server.rpc.framing import PREFIX_BYTES, frame_message
from audio_server.wire.comms_pb2 import AudioPacket

PACKET_MS = 20
"""Length of every packet that the server sends, in milliseconds."""

SILENCE = b"\xf8\xff\xfe"
"""20 ms of encoded silence: one Opus packet (RFC 6716, TOC 0xF8: CELT, full band, mono)."""

IS_START_BYTES = 2
"""Growth of a message that gets `is_start`: a tag and a value (protobuf encoding)."""

_parse: Callable[[bytes], AudioPacket] = AudioPacket.FromString


def frame_packet(data: bytes, *, is_start: bool = False, is_end: bool = False) -> bytes:
    """One Opus packet as a whole gRPC message, ready for the wire."""
    packet = AudioPacket(is_start=is_start, is_end=is_end, data=data)
    return frame_message(packet.SerializeToString())


def unframe_packet(message: bytes) -> bytes:
    """The Opus packet of a message that `frame_packet` made."""
    return bytes(_parse(message[PREFIX_BYTES:]).data)


def started(frames: bytes, *, is_end: bool = False) -> bytes:
    """Messages with `is_start` on the first; `is_end`: it is the last packet of its take too."""
    first = PREFIX_BYTES + int.from_bytes(frames[1:PREFIX_BYTES], "big")
    data = unframe_packet(frames[:first])
    return frame_packet(data, is_start=True, is_end=is_end) + frames[first:]


def starts_of(frames: bytes) -> Iterator[int]:
    """Yield where each of the messages in `frames` begins, and where the last one ends."""
    at = 0
    while at < len(frames):
        yield at
        at += PREFIX_BYTES + int.from_bytes(frames[at + 1 : at + PREFIX_BYTES], "big")
    yield at


CUT = frame_packet(SILENCE, is_end=True)
"""The packet that closes a take which is cut: silence that carries `is_end`."""
