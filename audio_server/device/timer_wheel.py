"""One clock for all takes of all devices.

A take is due four or five times a second. With a deadline of its own, each of thousands of takes
costs trio a heap operation, a cancel scope and a pass of the scheduler; and it would wake alone.
Here the times are rounded up to shared ticks, and one task performs all steps that are due.

A step is a function that its owner left here: fast path of a task for each take, because waking a
task costs more than the refill that it would do (docs/performance.md, "Refills without wakes"). A
task may sleep in `drive` for as long as the function is called: its cancellation ends that at once,
and an error of the function is raised there. Or no task sleeps (`start`): then the owner is called
when the steps end, and cancels them before that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from math import ceil, floor, inf
from typing import NoReturn, Protocol, TypeAlias

import trio
from trio.lowlevel import Abort, RaiseCancelT, reschedule

from audio_server.device.instrumentation import Instrumentation

TICKS_PER_S = 50
TICK_S = 1 / TICKS_PER_S
"""20 ms: as long as a packet, of which a refill tops up several."""

LED_TICKS_PER_S = 10
"""For LEDs: no eye misses a tenth of a second in a start-up sequence, and of a crowd that connects
five times as many devices share a wake."""

CHUNK = 64
"""How many steps are done between two looks at the sockets: one or two milliseconds of work."""

LATE_CHUNK = 256
"""The same where a tick has passed by another one: sound that falls behind goes before all that
devices say, and before those that connect."""

WAKES = 10
"""How many tasks that slept go on in a turn of the loop, after all sound that is due. Thousands of
takes end at once after an announcement, and each resumes a clip: the work of several refills."""

FULL = 64
"""Takes that share a tick before another tick is used: a wake from idle costs as much as a dozen
refills, but a press in the meantime waits for all of them."""

_ROUNDING = 1e-6
"""In ticks: the rounding error of a float, for times that should lie on a tick."""

Step: TypeAlias = Callable[[float], float | None]
"""Performs a step and returns the time of the next one, None after the last. Must not block.

It gets the time, which was read for its chunk: it may be in the past by the length of a chunk.
"""


class Steps(Protocol):
    """Steps that are done again and again, until they end, fail or are cancelled."""

    error: Exception | None

    def cancel(self) -> None:
        """End the steps. They may have ended already."""


async def sleep_through(start: Callable[[Callable[[], None]], Steps]) -> None:
    """Start steps, and return when they end. Raises their error; cancelling it cancels them.

    `start` gets a function for them to call after the last one.
    """
    steps = start(partial(reschedule, trio.lowlevel.current_task()))

    def abort(_: RaiseCancelT) -> Abort:
        steps.cancel()
        return Abort.SUCCEEDED

    await trio.lowlevel.wait_task_rescheduled(abort)
    if steps.error is not None:
        raise steps.error


class Timer:
    """A step that is done again and again, and the tick's bucket that it is in."""

    __slots__ = ("bucket", "ended", "error", "step")

    def __init__(self, step: Step, ended: Callable[[], None]) -> None:
        self.step = step
        self.ended: Callable[[], None] | None = ended
        self.bucket: _Bucket = {}
        self.error: Exception | None = None

    def cancel(self) -> None:
        """End the steps, without a call of `ended`. They may have ended already."""
        self.ended = None
        self.bucket.pop(self, None)


_Bucket: TypeAlias = dict[Timer, None]


class TimerWheel:
    """Performs steps at ticks by trio's clock, `ticks_per_s` of them. `run` is its one task.

    Ticks are absolute: steps that are due at computed times do not drift. After a late turn of the
    loop all steps whose ticks have passed are performed at once.
    """

    __slots__ = ("_alarm", "_buckets", "_meter", "_per_s", "_sleepers", "_soon", "_ticks")

    def __init__(
        self, meter: Instrumentation | None = None, ticks_per_s: int = TICKS_PER_S
    ) -> None:
        self._meter = meter or Instrumentation()
        self._per_s = ticks_per_s
        self._buckets: dict[int, _Bucket] = {}
        self._ticks: list[int] = []  # of the buckets: a heap
        self._alarm = trio.CancelScope()
        self._sleepers: deque[Timer] = deque()  # whose time has come, and who wait their turn
        self._soon: list[Callable[[], bool]] = []

    async def run(self) -> NoReturn:
        """Perform the steps that are due, for ever. Costs nothing without any.

        When it is cancelled, tasks in `drive` stay asleep, and no other step is performed: end them
        first or with it.
        """
        while True:
            if not (self._sleepers or self._soon):
                first = self._ticks[0] if self._ticks else inf
                self._alarm = trio.CancelScope(deadline=first / self._per_s)
                with self._alarm:
                    await trio.sleep_forever()
            self._soon = [work for work in self._soon if work()]
            await self._serve_due()
            self._wake()
            if self._sleepers or self._soon:
                await trio.lowlevel.checkpoint()

    def soon(self, work: Callable[[], bool]) -> None:
        """Call `work` in the next turns of the loop, once in each, until it returns False. It must
        not block, and raises nothing."""
        self._soon.append(work)
        self._alarm.deadline = -inf

    def find_phase(self, when: float, period: int) -> int:
        """Return the best first tick, counted from `when`, for steps every `period` ticks.

        Fewer than `period`. A shared tick, up to `FULL` of them: few takes then need few wakes.
        Where all ticks are full it is the emptiest one, and the latest of equals, so that a crowd
        that begins at once has begun before the first of it is due.
        """
        first, loads = self._tick_at(when), [0] * period
        for tick, bucket in self._buckets.items():
            if (
                -period <= tick - first < period
            ):  # steps that are due before `first` will be due again
                loads[(tick - first) % period] += len(bucket)
        return max((load if load < FULL else -load, phase) for phase, load in enumerate(loads))[1]

    async def sleep_until(self, when: float) -> None:
        """Return at the first tick at or after `when`, in seconds of trio's clock.

        Cancelling it leaves nothing behind.
        """
        await self.drive(when, never_again)

    async def drive(self, when: float, step: Step) -> None:
        """Call `step` at the first tick at or after `when`, and after the times it returns.

        Returns when `step` returns None, and raises its errors. Cancelling it leaves nothing
        behind: `step` is not called again.
        """
        await sleep_through(partial(self.start, when, step))

    def start(self, when: float, step: Step, ended: Callable[[], None]) -> Timer:
        """As `drive`, without a task that sleeps: `ended` is called after the last step, or an
        error.

        The caller cancels it, unless it has ended.
        """
        drive = Timer(step, ended)
        self._put(drive, when)
        return drive

    def _put(self, drive: Timer, when: float) -> None:
        tick = self._tick_at(when)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heappush(self._ticks, tick)
            if tick < self._alarm.deadline * self._per_s:
                self._alarm.deadline = tick / self._per_s
        bucket[drive] = None
        drive.bucket = bucket

    def _tick_at(self, when: float) -> int:
        """Return the first tick at or after `when`."""
        return ceil(when * self._per_s - _ROUNDING)

    async def _serve_due(self) -> None:
        now = floor(trio.current_time() * self._per_s + _ROUNDING)
        due: list[int] = []  # and none that a step adds: it may be late for ever
        while self._ticks and self._ticks[0] <= now:
            due.append(heappop(self._ticks))
        for tick in due:
            bucket = self._buckets.pop(tick)
            while bucket:
                self._serve_chunk(bucket, tick)
                if bucket or tick < now:
                    await trio.lowlevel.checkpoint()

    def _wake(self) -> None:
        """Have the next sleepers go on."""
        for _ in range(min(WAKES, len(self._sleepers))):
            if (wake := self._sleepers.popleft().ended) is not None:  # not cancelled meanwhile
                wake()

    def _serve_chunk(self, bucket: _Bucket, tick: int) -> None:
        now = trio.current_time()
        late_s = now - tick / self._per_s
        steps = min(CHUNK if late_s < TICK_S else LATE_CHUNK, len(bucket))
        self._meter.served(steps, late_s)
        self._perform(bucket, steps, now)

    def _perform(self, bucket: _Bucket, steps: int, now: float) -> None:
        """Perform steps. This is the edge where the faults of each go to its owner.

        The only function for all steps of a chunk: a call for each is a tenth of a refill.
        """
        buckets, per_s = self._buckets, self._per_s
        for _ in range(steps):
            if not bucket:  # one step may end another
                break
            drive = bucket.popitem()[0]
            when = None
            try:
                when = drive.step(now)
            except Exception as error:
                drive.error = error
            if when is None:
                self._end(drive)
            elif drive.ended is not None:  # not cancelled by its own step
                shared = buckets.get(ceil(when * per_s - _ROUNDING))
                if shared is None:
                    self._put(drive, when)
                else:
                    shared[drive] = None
                    drive.bucket = shared

    def _end(self, drive: Timer) -> None:
        """Tell the owner that there are no more steps, unless it has cancelled them."""
        if drive.ended is None:
            return
        if drive.step is never_again:
            self._sleepers.append(drive)
        else:
            drive.ended()  # a take that found no room goes on at once: its sound is due


def never_again(_now: float) -> None:
    """The step of an owner that only waits for a tick."""
