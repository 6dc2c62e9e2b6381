"""The way in of a connection: bytes of the peer to frames, in turns, within its deadlines."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import trio

from audio_server.rpc.dispatch import Dispatcher, End
from audio_server.rpc.http2.frames import Frame, FrameReader
from audio_server.rpc.http2.timers import PeerTimers
from audio_server.rpc.io.reader import Reader

_FRAMES_A_TURN = 16
"""Frames taken from one peer before all others have had their turn: about a millisecond."""


class Owner(End, Protocol):
    """The connection that frames are read for."""

    @property
    def may_idle(self) -> bool:
        """Whether the connection is there for nothing just now."""

    def watch(self, frame: Frame) -> None:
        """Raises `PeerError` for a peer that does not keep measure."""

    def flush_soon(self) -> None:
        """Have waiting bytes written."""


class Intake:
    """Reads frames for a connection. `run` is its life, `finish` its end.

    It refers to its connection while `run` lasts, and not longer (`gc_policy`).
    """

    __slots__ = ("_alarm", "_dispatcher", "_source", "delay_s", "frames", "is_finished", "reads",
                 "timers")  # fmt: skip

    def __init__(
        self, source: Reader, frames: FrameReader, timers: PeerTimers, dispatcher: Dispatcher
    ) -> None:
        self._source = source
        self._dispatcher = dispatcher
        self._alarm = trio.CancelScope()
        self.frames = frames
        self.timers = timers
        self.reads = 0
        """How often bytes of the peer have come."""
        self.delay_s = 0.0
        """For how long the peer is not to be heard."""
        self.is_finished = False

    def finish(self) -> None:
        """Have `run` return as if the peer had closed."""
        self.is_finished = True
        self._alarm.cancel()

    async def run(self, owner: Owner, calls: trio.Nursery) -> None:
        """Read until the peer has closed or `finish` is called; keep deadlines meanwhile.

        The alarm is not moved by each byte received, which would cost more than receiving: when it
        rings, the deadlines are checked. Raises `PeerSilentError` when a sign of life is missing,
        and `PeerError` when another deadline of the peer has passed, or for its bytes.
        """
        while not self.is_finished:
            self._alarm.deadline = self.timers.next_at(idle=owner.may_idle)
            with self._alarm:
                await self._read_frames(owner, calls)
                return
            self._alarm = trio.CancelScope()
            if not self.is_finished:
                self._do_what_is_due(owner)

    async def linger(self) -> None:
        """As `Reader.linger`."""
        await self._source.linger()

    def check_by(self, due_at: float) -> None:
        """Check the deadlines at that time, at the latest."""
        self._alarm.deadline = min(self._alarm.deadline, due_at)

    async def _read_frames(self, owner: Owner, calls: trio.Nursery) -> None:
        take = partial(self._take, owner, calls)
        while await self._source.read(take):
            is_taken = False
            while not is_taken:
                await trio.lowlevel.cancel_shielded_checkpoint()
                is_taken = self._take_frames(owner, calls)
            await self._pause()

    def _take(self, owner: Owner, calls: trio.Nursery, data: bytes) -> bool:
        """Take bytes of the peer; False if they need more than a turn, or the peer must pause."""
        self.reads += 1
        self.timers.on_readable(trio.current_time())
        was_settled = self.frames.settled
        self.frames.add(data)
        is_taken = self._take_frames(owner, calls)
        if self.frames.settled is not was_settled:  # or the alarm would ring for nothing
            self._alarm.deadline = self.timers.next_at(idle=owner.may_idle)
        return is_taken and not self.delay_s

    def _take_frames(self, owner: Owner, calls: trio.Nursery) -> bool:
        """Take so many frames as one turn is for; whether those were all."""
        is_last = False
        for _ in range(_FRAMES_A_TURN):
            frame = self.frames.next()
            if frame is not None:
                owner.watch(frame)
                self._dispatcher.on_frame(frame, owner, calls)
            is_last = frame is None or self.frames.is_drained
            if is_last:
                if (due_at := self.timers.watch_block()) is not None:
                    self.check_by(due_at)
                break
        owner.flush_soon()
        return is_last

    async def _pause(self) -> None:
        """Return when the peer may be heard again."""
        delay_s, self.delay_s = self.delay_s, 0.0
        if delay_s:
            await trio.sleep(delay_s)

    def _do_what_is_due(self, owner: Owner) -> None:
        if self.timers.check(trio.current_time(), idle=owner.may_idle):
            self._dispatcher.http2.ping()
        owner.flush_soon()
