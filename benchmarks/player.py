"""One device of the load side: bytes in, bytes out, no I/O and no clock of its own.

It reads no more than the figures need: where frames and messages begin, and the flags of an
audio packet, which are in its first bytes because fields are serialised in order of number.
"""

from __future__ import annotations

import struct
from collections import deque

from benchmarks.frames import (
    ACK,
    AUDIO,
    DARK,
    END_STREAM,
    LEDS_TAKEN,
    PADDED,
    PRESSES,
    SETTINGS_ACK,
    STATUS,
    Button,
    Kind,
    pong,
    state,
)
from benchmarks.tally import PACKET_S, Tally

_frame = struct.Struct(">HBBBI").unpack_from
_message = struct.Struct(">xIB").unpack_from

_FRAME_BYTES = 9
_PREFIX_BYTES = 5
_IS_START, _IS_END, _MIDDLE = 0x08, 0x10, 0x1A
_GET = 0x08
_ACKED = b"\x08\x01"


class Player:
    """A device: presses what its script says, in lock-step, and measures what comes back.

    `out` is what the owner must send, `rest` what it must put in front of the next bytes.
    Times are seconds of one monotonic clock; what is seen goes into `tally`, and all that a
    server must not do is counted there as a fault. 0.0 stands for "not waited for". LEDs are waited
    for without holding up the script: a server may leave out frames that newer ones replace.
    """

    __slots__ = (
        "ended",
        "first_at",
        "index",
        "leds",
        "mode_at",
        "opened_at",
        "out",
        "play_at",
        "playing",
        "press_at",
        "ready",
        "rest",
        "script",
        "stop_at",
        "tails",
        "tally",
    )

    def __init__(self, tally: Tally, opened_at: float = 0.0) -> None:
        self.tally = tally
        self.out = bytearray()
        self.rest = b""
        self.leds = DARK
        self.tails: dict[int, bytes] = {}
        self.script: deque[Button] = deque()
        self.ready = self.playing = self.ended = False
        self.press_at = self.play_at = self.stop_at = self.mode_at = self.first_at = 0.0
        self.opened_at = opened_at
        self.index = 0

    @property
    def waits(self) -> bool:
        """Whether an answer is due: an ack, a first packet or an `is_end`."""
        return bool(self.press_at or self.play_at or self.stop_at)

    def press(self, now: float, *buttons: Button) -> None:
        """Press these one after the other, each when the one before has had its effect."""
        self.script.extend(buttons)
        self._advance(now)

    def fail(self, fault: str) -> None:
        """The device can do no more; said once."""
        if not self.ended:
            self.ended = True
            self.tally.faults[fault] += 1

    def feed(self, data: bytes | bytearray, end: int, now: float) -> None:
        """Take the first `end` bytes of `data`, which arrived at `now`."""
        begin = 0
        while end - begin >= _FRAME_BYTES:
            high, low, kind, flags, stream = _frame(data, begin)
            after = begin + _FRAME_BYTES + (high << 8 | low)
            if after > end:
                break
            if not kind and stream == AUDIO and not flags:  # DATA, the type 0
                self._audio(data, begin + _FRAME_BYTES, after, now)
            else:
                self._frame(kind, flags, stream, bytes(data[begin + _FRAME_BYTES : after]), now)
            begin = after
        self.rest = bytes(data[begin:end]) if begin < end else b""

    def _audio(self, data: bytes | bytearray, begin: int, end: int, now: float) -> None:
        tail = self.tails.pop(AUDIO, None)
        if tail is not None:
            data = tail + data[begin:end]
            begin, end = 0, len(data)
        run = 0
        while end - begin > _PREFIX_BYTES:
            size, first = _message(data, begin)
            after = begin + _PREFIX_BYTES + size
            if after > end:
                break
            if first == _MIDDLE:
                run += 1
            else:
                run = self._edge(bytes(data[begin + _PREFIX_BYTES : after]), run, now)
            begin = after
        if run:
            self._take_run(run, now)
        if begin < end:
            self.tails[AUDIO] = bytes(data[begin:end])

    def _take_run(self, packets: int, now: float) -> None:
        if not self.playing:
            self.tally.faults["a packet outside a take"] += packets
        self.tally.run_lateness.append(now - self.first_at - PACKET_S * self.index)
        self.tally.run_packets.append(packets)
        self.index += packets

    def _edge(self, packet: bytes, run: int, now: float) -> int:
        """A packet with a flag; returns the length of the run it leaves open."""
        starts = packet[:1] == bytes([_IS_START])
        ends = packet[2 * starts : 2 * starts + 1] == bytes([_IS_END])
        if not starts and not ends:
            self.tally.faults["a packet without sound"] += 1
        if starts:
            if run:
                self._take_run(run, now)
            self._take_starts(now)
            run = 0
        if ends:
            self._take_run(run + 1, now)
            self._take_ends(now)
            return 0
        return run + 1

    def _take_starts(self, now: float) -> None:
        if self.playing:
            self.tally.faults["is_start inside a take"] += 1
        self.playing, self.first_at, self.index = True, now, 0
        if self.play_at:
            self.tally.firsts.append(now - self.play_at)
            self.play_at = 0.0
        else:
            self.tally.faults["a take that nobody asked for"] += 1
        self._advance(now)

    def _take_ends(self, now: float) -> None:
        self.playing = False
        if self.stop_at:
            self.tally.ends.append(now - self.stop_at)
            self.stop_at = 0.0
        self._advance(now)

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes, now: float) -> None:
        if kind == Kind.DATA:
            self._data(stream, payload[1 : -payload[0] or None] if flags & PADDED else payload, now)
        elif kind == Kind.SETTINGS and not flags & ACK:
            self.out += SETTINGS_ACK
        elif kind == Kind.PING and not flags & ACK:
            self.out += pong(payload)
        elif kind in (Kind.RST_STREAM, Kind.GOAWAY):
            self.fail(f"the server sent {Kind(kind).name}")
        if flags & END_STREAM and kind in (Kind.DATA, Kind.HEADERS):
            self.fail("the server ended a call")

    def _data(self, stream: int, payload: bytes, now: float) -> None:
        if stream == AUDIO:
            self._audio(payload, 0, len(payload), now)
            return
        data = self.tails.pop(stream, b"") + payload
        while len(data) >= _PREFIX_BYTES:
            size = int.from_bytes(data[1:_PREFIX_BYTES], "big")
            if len(data) < _PREFIX_BYTES + size:
                break
            answer = data[_PREFIX_BYTES : _PREFIX_BYTES + size]
            self._asked(answer, now) if stream == STATUS else self._answered(answer, now)
            data = data[_PREFIX_BYTES + size :]
        if data:
            self.tails[stream] = data

    def _asked(self, request: bytes, now: float) -> None:
        if not self.ready:
            self.ready = True
            self.tally.ready.append(now - self.opened_at)
        if request[:1] == bytes([_GET]):
            self.out += state(self.leds)
            return
        self.leds = request[1:]
        self.out += LEDS_TAKEN
        if self.mode_at:
            self.tally.leds.append(now - self.mode_at)
            self.mode_at = 0.0

    def _answered(self, response: bytes, now: float) -> None:
        if response != _ACKED or not self.press_at:
            self.tally.faults["an ack that is none, or that nobody waits for"] += 1
            return
        self.tally.acks.append(now - self.press_at)
        self.press_at = 0.0
        self._advance(now)

    def _advance(self, now: float) -> None:
        if not self.script or self.waits:
            return
        button = self.script.popleft()
        self.press_at = now
        if button is Button.PLAY:
            self.play_at = now
        elif button is Button.STOP and self.playing:
            self.stop_at = now
        elif button is Button.MODE and not self.mode_at:
            self.mode_at = now
        self.out += PRESSES[button]
