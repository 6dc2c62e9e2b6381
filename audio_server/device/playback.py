"""One clip on its way to one device, in real time.

The device plays packets as they come, from a cushion that is at most `lead_s` deep: so Stop is
felt within the lead. With `elapsed` for how long its player has been at it, this holds after every
send:

    sent * 20 ms <= elapsed + lead

A take sends the lead's worth at once, then sleeps until about three quarters of it have been
played, and tops it up, one slice of ready-made bytes a wake. All times are computed from the
moment the first packet was sent, so nothing drifts. The first of these wakes comes sooner where
others are due then: takes keep company, so that few of them need few wakes.

When the device does not read, there is no room, and the take waits. If the cushion ran out
meanwhile, the player stood still, and so its clock is set back: the sound goes on where it was,
with no hole, and with a lead again and not a rush.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import NamedTuple

import trio

from audio_server.device.audio_source import AudioSource, NoSound, SourceEnded
from audio_server.device.audio_stream import AudioStream
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.live_push import Batch
from audio_server.device.live_take import LiveTake
from audio_server.device.pace import PACKET_S, ROUNDING, Pace
from audio_server.device.timer_wheel import Steps, TimerWheel, sleep_through
from audio_server.wire.audio import IS_START_BYTES, started

_ENDLESS = 1 << 62
"""Packets of a source without an end: more than will ever be sent."""


class PlaybackFailed(Exception):
    """A take ended before its sound did, and no press asked for that."""


class Stalled(PlaybackFailed):
    """The device took nothing for too long; its own doing."""


class ClipUnreadable(PlaybackFailed):
    """The clip did not yield its bytes; our doing. The cause is the error it raised, if any."""


class Position(NamedTuple):
    """Progress of a playback: packets in all (None: no end), the next packet to send, and the
    seconds of the source that have been heard."""

    packets: int | None
    sent: int
    played_s: float


class Playback:
    """One take of a source, from packet `first` on. `play` it once; `cut` it at any time, also
    before.

    A device plays all that it was sent, so a take that follows a cut is heard once the sound before
    it has been, at the time `after`. Its end is then that much later, and it does not begin before
    that sound is within the lead: cuts in a row never pile up more than two leads.
    """

    __slots__ = (
        "_after",
        "_behind",
        "_drive",
        "_first",
        "_is_cut",
        "_live",
        "_meter",
        "_offsets",
        "_pace",
        "_packets",
        "_reader",
        "_refill",
        "_sent",
        "_stream",
        "_t0",
        "_target",
        "_timer_wheel",
        "_wait_ready",
        "source",
    )

    def __init__(
        self,
        source: AudioSource,
        pace: Pace,
        timer_wheel: TimerWheel,
        meter: Instrumentation | None = None,
        first: int = 0,
        after: float = -inf,
    ) -> None:
        self.source = source
        self._after = after
        self._behind = 0.0  # for how long the device plays other sound before this take's
        self._meter = meter or Instrumentation()
        self._packets = _ENDLESS if source.packets is None else source.packets
        self._live: LiveTake | None = None
        self._refill = pace.refill
        self._wait_ready: Callable[[], Awaitable[None]] | None = None
        if (begin_take := getattr(source, "begin_take", None)) is not None:
            self._live = begin_take(pace.lead_s)
            if not self._live.is_ready:
                self._wait_ready = self._live.wait_ready
        self._reader: LiveTake | AudioSource = self._live or source
        self._offsets: Sequence[int] | None = getattr(source, "offsets", None)
        self._first = first
        self._pace = pace
        self._target = 0  # packets sent after the next refill; 0: the take has no phase yet
        self._timer_wheel = timer_wheel
        self._stream: AudioStream | None = None
        self._drive: Steps | None = None
        self._sent = first
        self._t0 = -inf  # the player's clock reads trio.current_time() - t0
        self._is_cut = False

    def begin(self, stream: AudioStream, lacking: Callable[[], None]) -> None:
        """Send the first packets now, and have the timer wheel send the others.

        `is_driven` for as long as it does. It stops where the track takes no more, the clip does
        not yield its bytes, or all has been sent: `lacking` is called, and `play` goes on from
        there. Where it stops at once nothing is called.
        """
        self._stream = stream
        can_begin = self._wait_ready is None and trio.current_time() >= self._begins_at
        if can_begin and stream.close_nowait():
            with suppress(ClipUnreadable):  # `play` meets it again, and is the one to tell
                if self._top_up(stream) and self._sent < self._packets:
                    self._drive = self._start_steps(partial(self._end_drive, lacking))

    @property
    def _begins_at(self) -> float:
        return self._after - self._pace.lead_s

    @property
    def heard_until(self) -> float:
        """When all that was sent so far will have been heard; -inf where nothing was."""
        return self._t0 + self._sent * PACKET_S + self._behind

    @property
    def is_driven(self) -> bool:
        """Whether the timer wheel sends the packets that are due, so that the task may rest."""
        return self._drive is not None

    def _start_steps(self, ended: Callable[[], None]) -> Steps:
        if self._live is not None:
            return self._live.start(self._push, ended, self._timer_wheel, self._meter)
        return self._timer_wheel.start(self._refill_at(), self._refill_once, ended)

    def _cancel_drive(self) -> None:
        if self._drive is not None:
            self._drive.cancel()
            self._drive = None

    def _end_drive(self, lacking: Callable[[], None]) -> None:
        self._drive = None
        lacking()

    async def play(self, stream: AudioStream) -> None:
        """Send the clip, and return when its sound has ended by the player's clock.

        Raises `Stalled` or `ClipUnreadable`. However it ends, by cancellation too, it leaves the
        track closed, or owing an `is_end` that there was no room for (`AudioStream.close`).
        """
        self._stream = stream
        self._cancel_drive()
        try:
            if self._wait_ready is not None:
                await self._wait_ready()
            if self._begins_at > trio.current_time():
                await self._timer_wheel.sleep_until(self._begins_at)
            await self._send_all(stream)
            if not self._is_cut:
                ends_at = self._t0 + self._packets * PACKET_S + self._behind
                await self._timer_wheel.sleep_until(ends_at)
        finally:
            self.cut()

    def cut(self) -> None:
        """Send no more, and close the take at once if there is room for that.

        A caller that waits in `play` goes on waiting: cancel it.
        """
        self._cancel_drive()
        if not self._is_cut and self._stream is not None:
            self._stream.close_nowait()  # once: later the track may be another take's
        self._is_cut = True

    def position(self) -> Position:
        """Where it is, as far as can be told from here."""
        elapsed = trio.current_time() - self._t0
        played_s = min(elapsed, self._sent * PACKET_S)
        if self._behind:
            played_s = min(max(elapsed - self._behind, self._first * PACKET_S), played_s)
        return Position(self.source.packets, self._sent, played_s)

    async def _send_all(self, stream: AudioStream) -> None:
        while not (self._has_begun or self._is_cut or stream.close_nowait()):
            await self._wait_room(stream)
        while self._sent < self._packets and not self._is_cut:
            if self._top_up(stream):
                await sleep_through(self._start_steps)
            else:
                await self._wait_room(stream)

    def _refill_once(self, now: float) -> float | None:
        """A wake of the take: when the next one is due, None if there is none.

        Fast path of `_top_up`, for a wake in the regular case, in one function: its calls cost as
        much as its work. With a `now` that lies in the past, less than the lead is sent and never
        more. Whether the player has run dry cannot be told from it: a take that is close to that
        takes the slow path. Benchmark: docs/performance.md, "A short way for refills".
        """
        stream = self._stream
        if self._is_cut or stream is None:
            return None
        sent, packets, elapsed = self._sent, self._packets, now - self._t0
        stop = int((elapsed + self._pace.lead_s) / PACKET_S + ROUNDING)
        if stop > packets:
            stop = packets
        if elapsed <= (sent - 1) * PACKET_S and stop > sent:
            frames = self._slice(stop)
            if frames and stream.send_at_once(frames, ends=stop == packets):
                self._sent = stop
                self._meter.sent(stop - sent, len(frames))
                return None if stop == packets else self._refill_at()
        return self._refill_slowly(stream)

    def _refill_slowly(self, stream: AudioStream) -> float | None:
        if not self._top_up(stream) or self._sent == self._packets:
            return None
        return self._refill_at()

    def _push(self, batch: Batch, now: float) -> bool:
        """Send a batch of a live channel; return whether the take goes on.

        Fast path of `_top_up`, for a device that has been sent all packets before these, still
        plays, and may have these within its lead. Benchmark: `python -m benchmarks.live`.
        """
        live, stream, sent = self._live, self._stream, self._sent
        if live is None or stream is None or self._is_cut:
            return False
        first, packets, frames = batch
        if (
            frames  # else the channel is over, or its packets are not kept any more
            and live.place == first
            and 0 <= sent * PACKET_S - now + self._t0 <= self._pace.lead_s - packets * PACKET_S
            and stream.send_at_once(frames, ends=False)
        ):
            live.place = first + packets
            self._sent = sent + packets
            self._meter.sent(packets, len(frames))
            return True
        return self._top_up(stream) and self._sent != self._packets

    async def _wait_room(self, stream: AudioStream) -> None:
        with trio.move_on_after(self._pace.stall_s):
            await stream.wait_room()
            while not stream.room():
                await stream.wait_room()
            return
        raise Stalled(f"no packet taken for {self._pace.stall_s:g} s")

    def _refill_at(self) -> float:
        """Return the time at which the next refill is within the lead.

        The first one comes sooner, if it then shares a tick (`TimerWheel.find_phase`); all others
        are `refill` packets apart, so that a take whose wake was late shares the same ticks again.
        """
        if not self._target:
            one = self._due_at(self._sent + 1)
            self._target = self._sent + 1 + self._timer_wheel.find_phase(one, self._refill)
        target = self._target
        while target <= self._sent:
            target += self._refill
        self._target = target
        until = target if target < self._packets else self._packets
        return self._t0 + until * PACKET_S - self._pace.lead_s

    def _due_at(self, packets: int) -> float:
        """When so many packets may have been sent."""
        return self._t0 + packets * PACKET_S - self._pace.lead_s

    def _top_up(self, stream: AudioStream) -> bool:
        """Send all that the lead allows; False if there was no room for all of it."""
        allowed = self._allowed()
        while self._sent < min(allowed, self._packets):
            room = stream.room()
            if not room:
                return False
            self._send_until(self._fitting(room, allowed), stream)
        return True

    def _allowed(self) -> int:
        """How many packets of the clip may have been sent by now."""
        now = trio.current_time()
        elapsed = now - self._t0
        is_dry = elapsed > self._sent * PACKET_S
        if is_dry:  # the player has stood still
            until = self._after if self._t0 == -inf else self.heard_until
            self._behind = max(0.0, until - now)
            elapsed = self._sent * PACKET_S
            self._t0 = now - elapsed
            self._target = 0
        allowed = self._within_lead(elapsed)
        if self._live is None:
            return allowed
        return self._sent + self._live.room(allowed - self._sent, is_dry=is_dry)

    def _within_lead(self, elapsed: float) -> int:
        """How many packets may have been sent when the player has been at it for so long."""
        return min(int((elapsed + self._pace.lead_s) / PACKET_S + ROUNDING), self._packets)

    def _fitting(self, room: int, allowed: int) -> int:
        """Up to which packet the room holds, at most `allowed`, at least the next one."""
        offsets, sent = self._offsets, self._sent
        if self._live is not None:
            return sent + self._live.fitting(room, allowed - sent)
        if offsets is None:
            return sent + 1
        end = offsets[sent] + room
        if sent == self._first:
            end -= IS_START_BYTES
        if offsets[allowed] <= end:
            return allowed
        return max(bisect_right(offsets, end, sent, allowed) - 1, sent + 1)

    def _send_until(self, stop: int, stream: AudioStream) -> None:
        if not (frames := self._slice(stop)):
            stream.close_nowait()
            return
        self._meter.sent(stop - self._sent, len(frames))
        self._sent = stop
        stream.send(frames, ends=stop == self._packets)

    def _slice(self, stop: int) -> bytes:
        """Return the packets up to `stop`; none, and no more are to be sent, where a source
        without a length has ended."""
        try:
            frames = self._reader.slice(self._sent, stop)
            return self._opened(frames) if self._first and self._sent == self._first else frames
        except SourceEnded:
            self._packets = self._sent
            return b""
        except NoSound as error:
            raise ClipUnreadable(str(error)) from None
        except Exception as error:
            raise ClipUnreadable(f"clip {self.source.name!r} cannot be read") from error

    def _opened(self, frames: bytes) -> bytes:
        """Return the frames with `is_start` on the first: a take that resumes opens as any other
        (device contract, section 3, audio grammar)."""
        return started(frames, is_end=self._first == self._packets - 1)

    @property
    def _has_begun(self) -> bool:
        return self._sent > self._first
