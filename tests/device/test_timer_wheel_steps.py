"""Steps that the metronome does for sleeping tasks."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.timer_wheel import FULL, WAKES, TimerWheel


async def test_a_step_is_done_at_the_times_that_it_asks_for(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    done: list[float] = []

    def step(_now: float) -> float | None:
        done.append(trio.current_time())
        return len(done) * 0.22 if len(done) < 5 else None

    await timer_wheel.drive(0.1, step)
    assert done == pytest.approx([0.1, 0.22, 0.44, 0.66, 0.88])
    assert trio.current_time() == pytest.approx(0.88)
    await trio.sleep(5)
    assert len(done) == 5


async def test_what_a_step_raises_is_raised_in_its_task_and_ends_nobody_else(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    done: list[float] = []

    def fail(_now: float) -> float | None:
        raise OSError("the disk is gone")

    def step(_now: float) -> float | None:
        done.append(trio.current_time())
        return len(done) * 0.1 if len(done) < 5 else None

    async with trio.open_nursery() as sleepers:
        sleepers.start_soon(timer_wheel.drive, 0.1, step)
        with pytest.raises(OSError, match="disk"):
            await timer_wheel.drive(0.1, fail)
        assert trio.current_time() == pytest.approx(0.1)
    assert len(done) == 5


async def test_a_cancelled_task_has_no_more_steps_done(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    done: list[float] = []

    def step(_now: float) -> float:
        done.append(trio.current_time())
        return trio.current_time() + 0.1

    with trio.move_on_after(0.55):
        await timer_wheel.drive(0.1, step)
    await trio.sleep(5)
    assert len(done) == 5


async def test_a_step_may_cancel_its_own_task(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    done: list[float] = []
    with trio.CancelScope() as scope:

        def step(_now: float) -> float:
            done.append(trio.current_time())
            scope.cancel()
            return trio.current_time() + 0.1

        await timer_wheel.drive(0.1, step)
    assert scope.cancelled_caught
    await trio.sleep(5)
    assert len(done) == 1
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 1000


async def test_a_step_may_cancel_the_task_of_another(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    scopes = [trio.CancelScope(), trio.CancelScope()]

    async def end_the_other(own: int) -> None:
        with scopes[own]:
            await timer_wheel.drive(1.0, lambda _now: scopes[1 - own].cancel())

    async with trio.open_nursery() as sleepers:
        sleepers.start_soon(end_the_other, 0)
        sleepers.start_soon(end_the_other, 1)
    assert [scope.cancelled_caught for scope in scopes].count(True) == 1
    await timer_wheel.sleep_until(2)


async def test_company_is_found_in_ticks_that_are_due_before_the_first(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    """Who is due at 0.1 every eleven ticks is so at 0.32 too."""
    for _ in range(3):
        timer_wheel.start(0.1, lambda now: now + 0.22, lambda: None)
    timer_wheel.start(0.2, lambda now: now + 0.22, lambda: None)
    assert timer_wheel.find_phase(0.12, 11) == 10
    assert timer_wheel.find_phase(0.101, 11) == 10
    assert timer_wheel.find_phase(0.1, 11) == 0
    assert timer_wheel.find_phase(0.12, 4) == 3
    assert timer_wheel.find_phase(0.22, 4) == 3
    await trio.sleep(0.19)
    assert timer_wheel.find_phase(0.21, 11) == 5


async def test_a_full_tick_is_no_company(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    def begin(phase: int) -> None:
        timer_wheel.start(0.02 * (1 + phase), lambda now: now + 0.06, lambda: None)

    found = []
    for _ in range(4 * FULL):
        phase = timer_wheel.find_phase(0.02, 3)
        found.append(phase)
        begin(phase)
    assert found[: 3 * FULL] == [2] * FULL + [1] * FULL + [0] * FULL
    assert found[3 * FULL :] == ([2, 1, 0] * FULL)[:FULL]


class Turns(trio.abc.Instrument):
    """Counts the turns of the loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


async def test_a_crowd_that_ends_goes_on_in_slices_after_sound(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    """As many takes that end at once do: none of them delays a step that is due."""
    turns = Turns()
    woken: list[int] = []
    served: list[tuple[int, int]] = []

    async def sleeper() -> None:
        await timer_wheel.sleep_until(1.0)
        woken.append(turns.count)

    def step(_now: float) -> float | None:
        served.append((turns.count, len(woken)))
        return None

    for _ in range(100):
        timer_wheel.start(1.0, step, lambda: None)
    async with trio.open_nursery() as sleepers:
        for _ in range(100):
            sleepers.start_soon(sleeper)
        trio.lowlevel.add_instrument(turns)
    trio.lowlevel.remove_instrument(turns)
    assert len(woken) == 100
    assert max(Counter(woken).values()) == WAKES
    assert [before for _, before in served] == [0] * 100
    assert trio.current_time() == 1.0


async def test_a_cancelled_task_is_not_woken_by_its_last_step(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    woken: list[int] = []

    async def sleeper(number: int) -> None:
        await timer_wheel.sleep_until(1.0)
        woken.append(number)
        sleepers.cancel_scope.cancel()  # while others, whose steps have ended too, wait their turn

    async with trio.open_nursery() as sleepers:
        for number in range(5 * WAKES):
            sleepers.start_soon(sleeper, number)
    assert 1 <= len(woken) <= 2 * WAKES  # the wheel may go on before the first that it woke
    await timer_wheel.sleep_until(2)
