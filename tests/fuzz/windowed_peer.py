"""A device of raw frames that gives windows byte by byte and reads what it likes."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import trio
from fuzz_frames import PREFACE, frame

from audio_server.wire.comms_pb2 import AudioPacket
from benchmarks.frames import AUDIO, EVENTS, PRESSES, STATUS, Button, opening

_WINDOW, _DATA, _PING = 4, 0, 6


class WindowedPeer:
    """What it has of each call, and its buttons. `initial_bytes` is the window of every stream."""

    def __init__(self, stream: Any, initial_bytes: int, frame_bytes: int = 16_384) -> None:
        self.data: dict[int, bytearray] = {STATUS: bytearray(), EVENTS: bytearray()}
        self.audio: list[bytearray] = [bytearray()]
        self.presses = 0
        self._stream = stream
        self._sending = trio.Lock()
        self._rest = self._owed = b""
        settings = struct.pack(">HIHI", _WINDOW, initial_bytes, 5, frame_bytes)
        calls = opening("peer", "fuzz")[len(PREFACE) + 9 + 6 + 9 + 4 :]
        self.hello = PREFACE + frame(4, 0, 0, settings) + calls

    async def listen(self) -> None:
        """Take frames, until the server closes. Answers PINGs, and grants nothing."""
        try:
            while data := await self._stream.receive_some():
                self._rest += bytes(data)
                while self._cut():
                    pass
                owed, self._owed = self._owed, b""
                await self.say(owed)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    def _cut(self) -> bool:
        end = 9 + int.from_bytes(self._rest[:3], "big")
        if len(self._rest) < max(9, end):
            return False
        kind, stream = self._rest[3], int.from_bytes(self._rest[5:9], "big")
        payload, self._rest = self._rest[9:end], self._rest[end:]
        if kind == _PING:
            self._owed += frame(_PING, 1, 0, payload)
        elif kind == _DATA:
            (self.audio[-1] if stream == AUDIO else self.data[stream]).extend(payload)
        return True

    async def say(self, data: bytes) -> None:
        """Send, if there is anybody left to hear it."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async with self._sending:
                await self._stream.send_all(data)

    async def press(self, button: Button) -> None:
        """Press, whether the press before has its ack or not."""
        self.presses += 1
        await self.say(PRESSES[button])

    async def grant(self, stream: int, size: int) -> None:
        """Let the server send so many bytes more on a stream."""
        await self.say(frame(8, 0, stream, struct.pack(">I", size)))

    async def reset_audio(self) -> None:
        """The audio stream alone fails."""
        await self.say(frame(3, 0, AUDIO, b"\0\0\0\x08"))

    def acks(self) -> int:
        """How many events were acknowledged; all messages on that stream must be acks."""
        messages, rest = split(self.data[EVENTS])
        assert all(message == b"\x08\x01" for message in messages)
        assert b"\0\0\0\0\2\x08\1".startswith(rest)
        return len(messages)


def split(data: bytes | bytearray) -> tuple[list[bytes], bytes]:
    """Whole gRPC messages, and what follows the last of them."""
    messages, rest = [], bytes(data)
    while len(rest) >= 5 and len(rest) >= 5 + int.from_bytes(rest[1:5], "big"):
        assert rest[0] == 0
        size = 5 + int.from_bytes(rest[1:5], "big")
        messages.append(rest[5:size])
        rest = rest[size:]
    return messages, rest


def takes(data: bytes | bytearray) -> tuple[list[list[AudioPacket]], bool]:
    """The takes of an audio stream, and whether the last one is still open.

    Raises `AssertionError` unless it is `(start middle* end)*` so far.
    """
    found: list[list[AudioPacket]] = []
    is_open = False
    for message in split(data)[0]:
        packet = AudioPacket.FromString(message)
        assert packet.data
        assert packet.is_start != is_open, "a start in a take, or a packet outside"
        if packet.is_start:
            found.append([])
        found[-1].append(packet)
        is_open = not packet.is_end
    return found, is_open
