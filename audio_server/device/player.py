"""The audio task of a device: at most one take at a time, and the newest request wins."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NoReturn, TypeAlias

import trio

from audio_server.device.audio_sink import AudioSink
from audio_server.device.audio_source import AudioSource
from audio_server.device.audio_stream import AudioStream
from audio_server.device.bell import Bell
from audio_server.device.instrumentation import Instrumentation, Outcome
from audio_server.device.pace import PACKET_S, Pace
from audio_server.device.playback import Playback, PlaybackFailed, Position, Stalled
from audio_server.device.timer_wheel import TimerWheel

PATIENCE_S = 1.0
"""How long a take waits for an audio stream: a press may be there before it."""


class NoStream(PlaybackFailed):
    """No audio stream came in time; the device's doing."""


Observe: TypeAlias = Callable[[Playback, Outcome | None, PlaybackFailed | None], None]
"""Called when a take begins (with None) and when it ends, with the outcome; raises nothing."""

Over: TypeAlias = Callable[[PlaybackFailed | None], None]
"""Called when a take ends by itself: with None after its sound, else with the failure."""


class Player:
    """Plays sources on the present audio stream. All methods but `run` only set the goal, at once.

    `run` acts on it: a change of the goal ends the step of `run`, and the next step begins from the
    new goal. So no work is ever done for an old request. Fast path: the first packets of a take do
    not wait for `run`, they go out with the Play itself, and `run` rests for as long as the timer
    wheel sends the others.
    """

    __slots__ = (
        "_bell",
        "_deadline",
        "_heard_until",
        "_meter",
        "_observe",
        "_pace",
        "_paused",
        "_rests",
        "_start_task",
        "_step",
        "_stream",
        "_take",
        "_timer_wheel",
    )

    def __init__(
        self,
        pace: Pace,
        timer_wheel: TimerWheel,
        meter: Instrumentation | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._pace = pace
        self._timer_wheel = timer_wheel
        self._meter = meter or Instrumentation()
        self._observe = observe
        self._stream: AudioStream | None = None
        self._take: Playback | None = None
        self._paused: tuple[AudioSource, int] | None = None
        self._deadline = 0.0
        self._heard_until = -inf  # of the takes before this one
        self._step = trio.CancelScope()
        self._bell = Bell()
        self._rests = False
        self._start_task: Callable[[], None] | None = None

    def open(self, start_task: Callable[[], None]) -> None:
        """Have `start_task` called once there is work for `run`, which it starts in a task."""
        self._start_task = start_task
        self._end_step()

    def close(self) -> None:
        """Start no task from now on: those of the device end."""
        self._start_task = None

    def use_pace(self, pace: Pace) -> None:
        """Play at another pace from the next take on."""
        self._pace = pace

    def start(self, source: AudioSource, first: int = 0) -> None:
        """Play a source, from packet `first` on, instead of the present one."""
        self._cut()
        self._paused = None
        self._begin(Playback(source, self._pace, self._timer_wheel, self._meter, first))

    def announce(self, source: AudioSource) -> None:
        """Play a source instead of the present one, behind the sound that the device still has;
        the place of a pause stays for `resume`."""
        self._cut()
        until = self._heard_until
        self._begin(Playback(source, self._pace, self._timer_wheel, self._meter, after=until))

    def _begin(self, take: Playback) -> None:
        self._take = take
        self._meter.take_begun()
        if self._observe is not None:
            self._observe(self._take, None, None)
        if self._stream is None:
            self._deadline = trio.current_time() + PATIENCE_S
        else:
            self._take.begin(self._stream, self._end_step)
        self._end_step()

    def pause(self) -> None:
        """Cut the take, and keep its place for `resume`; without a take do nothing.

        The place is the first packet that was not sent: the device plays all that it was sent,
        so that the sound goes on with no gap and no repetition.
        """
        if self._take is not None:
            place = self._take.source, self._take.position().sent
            self.cut()
            self._paused = place

    def keep(self, source: AudioSource) -> None:
        """Play nothing; `resume` plays a source from its beginning."""
        self.cut()
        self._paused = source, 0

    def forget(self) -> None:
        """Drop the place of a pause; a take goes on."""
        self._paused = None

    def resume(self) -> None:
        """Go on from the place that `pause` kept; without one do nothing."""
        if self._paused is not None:
            self.start(*self._paused)

    def cut(self) -> None:
        """Play nothing, and forget the place of a pause. The take is closed now, or as soon as
        there is room for its end."""
        self._cut()
        self._paused = None
        self._end_step()

    def _cut(self) -> None:
        if self._take is not None:
            self._take.cut()
            self._heard_until = max(self._heard_until, self._take.heard_until + PACKET_S)
            self._let_go(Outcome.LOST if self._stream is None else Outcome.CUT)

    def plug(self, sink: AudioSink) -> None:
        """From now on sound goes to `sink`; the one before must have been unplugged."""
        self._stream = AudioStream(sink)
        self._end_step()

    def unplug(self) -> None:
        """Drop the audio stream. The caller cuts the take with it."""
        if self._stream is not None:
            self._stream.abandon()
            self._stream = None
            self._heard_until = -inf
        self._end_step()

    @property
    def source(self) -> AudioSource | None:
        """The source that plays, None when none does."""
        return None if self._take is None else self._take.source

    def position(self) -> Position | None:
        """Where the take is that plays, None when none does."""
        return None if self._take is None else self._take.position()

    async def wait_closed(self) -> None:
        """Return when no take is open on the track that is there now."""
        if self._stream is not None:
            await self._stream.wait_closed()

    def _end_step(self) -> None:
        if self._start_task is not None:
            if not self._is_at_rest():
                start_task, self._start_task = self._start_task, None
                start_task()
        elif not (self._rests and self._is_at_rest()):
            self._bell.ring()
            self._step.cancel()

    async def run(self, over: Over) -> NoReturn:
        """Act on the goal, for ever."""
        while True:
            self._rests = self._is_at_rest()
            if self._rests:
                await self._bell.wait()  # far cheaper to end than a step that is cancelled
            else:
                with trio.CancelScope() as self._step:
                    await self._act(over)

    def _is_at_rest(self) -> bool:
        """Whether there is nothing to wait for: nothing plays, or all that is due is sent."""
        if self._take is not None:
            return self._take.is_driven
        return self._stream is None or not self._stream.is_open

    async def _act(self, over: Over) -> None:
        take = self._take
        if take is not None:
            failure = await self._perform(take)
            try:
                if take is self._take:
                    self._let_go(_outcome(failure), failure)
                    over(failure)
            finally:
                del failure  # its traceback leads to this frame
        elif self._stream is not None:
            await self._stream.close()  # the take before still owes its end

    def _let_go(self, outcome: Outcome, failure: PlaybackFailed | None = None) -> None:
        take, self._take = self._take, None
        self._meter.take_over(outcome)
        if self._observe is not None and take is not None:
            self._observe(take, outcome, failure)

    async def _perform(self, take: Playback) -> PlaybackFailed | None:
        try:
            await take.play(await self._wait_track())
        except PlaybackFailed as failure:
            return failure
        return None

    async def _wait_track(self) -> AudioStream:
        """The track, if it is there in time: `plug` begins a new step."""
        if self._stream is None:
            await trio.sleep_until(self._deadline)
            raise NoStream(f"no audio stream came within {PATIENCE_S:g} s")
        return self._stream


def _outcome(failure: PlaybackFailed | None) -> Outcome:
    if failure is None:
        return Outcome.ENDED
    return Outcome.LOST if isinstance(failure, Stalled) else Outcome.FAILED
