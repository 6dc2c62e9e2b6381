"""An audio stream in memory: takes frames as a connection would, and reads them back."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import trio

from audio_server.clips.clip import Clip
from audio_server.wire.audio import CUT
from audio_server.wire.comms_pb2 import AudioPacket

read_packet: Callable[[bytes], AudioPacket] = AudioPacket.FromString


@dataclass(frozen=True)
class Sent:
    """One packet as it came, and when."""

    at_s: float
    is_start: bool
    is_end: bool
    data: bytes


class FakeSink:
    """Room for `room_bytes` at first, and as much as a test gives it later.

    Checks on every send what the sink's contract demands of the sender: whole messages, and no
    more of them than there is room for, but one where there is any, and where there is none the
    end of a take, after which nothing comes.
    """

    def __init__(self, room_bytes: float = math.inf) -> None:
        self.packets: list[Sent] = []
        self.sends = 0
        self.at_once = 0
        self.is_over = False
        self._room = room_bytes
        self._grown = trio.Event()

    def room(self) -> int:
        return int(max(0, min(self._room, 1 << 30)))

    def send_nowait(self, frames: bytes) -> None:
        assert frames, "sent nothing"  # an empty DATA frame, for which proxies end connections
        assert not self.is_over, "sent after the last word"
        self.is_over = self._room <= 0
        assert not self.is_over or frames == CUT, "sent without room"
        packets = list(parse(frames))
        assert len(packets) == 1 or len(frames) <= self._room, "sent more than the room"
        self.packets += packets
        self.sends += 1
        self._room -= len(frames)

    def send_at_once(self, frames: bytes) -> bool:
        if len(frames) > self._room:
            return False
        self.send_nowait(frames)
        self.at_once += 1
        return True

    async def wait_room(self) -> None:
        await trio.lowlevel.checkpoint()
        while self._room <= 0:
            await self._grown.wait()

    def give(self, room_bytes: float) -> None:
        """The peer has taken bytes; `-inf` stops it."""
        endless = math.isinf(room_bytes) or math.isinf(self._room)
        self._room = room_bytes if endless else self._room + room_bytes
        if self._room > 0:
            self._grown.set()
            self._grown = trio.Event()

    def limit(self, room_bytes: int) -> None:
        """From now on there is room for so many bytes, whatever there was before."""
        self._room = room_bytes

    @property
    def flags(self) -> str:
        """What came, one character a packet: `S` start, `m` middle, `E` end, `B` both."""
        return "".join("mSEB"[p.is_start + 2 * p.is_end] for p in self.packets)


def parse(frames: bytes) -> list[Sent]:
    """The packets of whole gRPC messages; fails on any byte that belongs to none."""
    packets, at = [], 0
    while at < len(frames):
        compressed, length = struct.unpack_from(">BI", frames, at)
        body = frames[at + 5 : at + 5 + length]
        assert not compressed
        assert len(body) == length
        message = read_packet(body)
        assert message.data
        packets.append(Sent(trio.current_time(), message.is_start, message.is_end, message.data))
        at += 5 + length
    return packets


def make_clip(packets: int, name: str = "clip", size_bytes: int = 40) -> Clip:
    """A clip whose packets can be told apart."""
    return Clip.from_packets(
        name, [f"{name}:{index}".encode().ljust(size_bytes, b".") for index in range(packets)]
    )


def make_long_clip(packets: int) -> Clip:
    """A clip of many equal packets, quickly made."""
    return Clip.from_packets("long", [b"x" * 20] * packets)


def is_grammatical(flags: str) -> bool:
    """Whether takes open and close in turn."""
    return re.fullmatch(r"(Sm*E|B)*", flags) is not None
