"""Ticks: shared, absolute, never early, and cheap when nobody waits."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.timer_wheel import (
    CHUNK,
    LATE_CHUNK,
    LED_TICKS_PER_S,
    TICK_S,
    TimerWheel,
)


async def sleep_and_note(timer_wheel: TimerWheel, when: float, woken: list[float]) -> None:
    await timer_wheel.sleep_until(when)
    woken.append(trio.current_time())


@pytest.mark.parametrize(
    ("when", "tick"),
    [(0.0, 0.0), (0.001, 0.02), (0.02, 0.02), (0.28, 0.28), (0.2801, 0.3), (7.08, 7.08)],
)
async def test_wakes_at_the_first_tick_at_or_after(
    timer_wheel: TimerWheel, autojump_clock: MockClock, when: float, tick: float
) -> None:
    woken: list[float] = []
    await sleep_and_note(timer_wheel, when, woken)
    assert woken == [pytest.approx(tick)]


@pytest.mark.parametrize(("when", "tick"), [(0.0, 0.0), (0.02, 0.1), (0.1, 0.1), (5.201, 5.3)])
async def test_the_wheel_of_the_leds_has_ten_ticks_a_second(
    autojump_clock: MockClock, when: float, tick: float
) -> None:
    woken: list[float] = []
    async with trio.open_nursery() as nursery:
        timer_wheel = TimerWheel(ticks_per_s=LED_TICKS_PER_S)
        nursery.start_soon(timer_wheel.run)
        await sleep_and_note(timer_wheel, when, woken)
        nursery.cancel_scope.cancel()
    assert woken == [pytest.approx(tick)]


async def test_a_step_that_is_late_for_ever_leaves_turns_to_others(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    steps = 0

    def step(now: float) -> float | None:
        nonlocal steps
        steps += 1
        return now

    timer = timer_wheel.start(0, step, lambda: None)
    with trio.fail_after(1):
        for _ in range(20):
            await trio.lowlevel.checkpoint()
    assert 1 < steps < 25
    timer.cancel()


async def test_a_time_that_has_passed_is_due_at_once(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    await trio.sleep(1)
    await timer_wheel.sleep_until(0.5)
    assert trio.current_time() == 1


async def test_all_that_are_due_in_one_tick_wake_together(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    woken: list[float] = []
    async with trio.open_nursery() as sleepers:
        for when in (0.021, 0.035, 0.04):
            sleepers.start_soon(sleep_and_note, timer_wheel, when, woken)
    assert woken == [0.04] * 3


async def test_who_comes_later_may_wake_sooner(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    woken: list[float] = []
    async with trio.open_nursery() as sleepers:
        sleepers.start_soon(sleep_and_note, timer_wheel, 5, woken)
        await wait_all_tasks_blocked()
        sleepers.start_soon(sleep_and_note, timer_wheel, 1, woken)
    assert woken == [1, 5]


async def test_sleeps_for_ever_when_nobody_waits(timer_wheel: TimerWheel) -> None:
    await timer_wheel.sleep_until(trio.current_time())
    await wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 1000


async def test_repeated_absolute_sleeps_do_not_drift(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    for index in range(1, 1001):
        await timer_wheel.sleep_until(index * 0.22)
        assert trio.current_time() == pytest.approx(index * 0.22)


async def test_catches_up_all_ticks_it_missed(
    timer_wheel: TimerWheel, mock_clock: MockClock
) -> None:
    woken: list[float] = []
    async with trio.open_nursery() as sleepers:
        for when in (0.02, 0.04, 0.5):
            sleepers.start_soon(sleep_and_note, timer_wheel, when, woken)
        sleepers.start_soon(sleep_and_note, timer_wheel, 0.9, woken)
        await wait_all_tasks_blocked()
        mock_clock.jump(0.6)
        await wait_all_tasks_blocked()
        assert woken == [0.6] * 3
        mock_clock.jump(1)
    assert len(woken) == 4


async def test_a_cancelled_sleep_leaves_the_others_and_itself_alone(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    woken: list[float] = []
    async with trio.open_nursery() as sleepers:
        sleepers.start_soon(sleep_and_note, timer_wheel, 0.06, woken)
        with trio.move_on_at(0.035):
            await timer_wheel.sleep_until(0.06)
        assert trio.current_time() == 0.035
        await timer_wheel.sleep_until(0.06)
        assert trio.current_time() == 0.06
    assert woken == [0.06]


async def test_sleepers_may_be_cancelled_while_their_tick_is_being_woken(
    timer_wheel: TimerWheel, autojump_clock: MockClock
) -> None:
    """Chunks leave time in between, in which whoever is woken first cancels all the rest."""
    woken: list[float] = []
    async with trio.open_nursery() as sleepers:

        async def cancel_the_rest() -> None:
            await sleep_and_note(timer_wheel, 0.06, woken)
            sleepers.cancel_scope.cancel()

        for _ in range(3 * CHUNK):
            sleepers.start_soon(cancel_the_rest)
    assert 1 <= len(woken) <= 2 * CHUNK  # the metronome may go on before the first that it woke
    await timer_wheel.sleep_until(0.08)


@pytest.mark.parametrize(("late_s", "most"), [(0.0, CHUNK), (2 * TICK_S, LATE_CHUNK)])
async def test_a_crowd_is_served_in_chunks_with_a_look_at_the_world_in_between(
    timer_wheel: TimerWheel, mock_clock: MockClock, late_s: float, most: int
) -> None:
    """In larger ones when it is late: then sound goes before what others want."""
    served: list[float] = []
    seen: list[int] = []
    for _ in range(5 * LATE_CHUNK):
        timer_wheel.start(TICK_S, served.append, lambda: None)
    await wait_all_tasks_blocked()
    mock_clock.jump(TICK_S + late_s)
    while len(served) < 5 * LATE_CHUNK:
        seen.append(len(served))
        await trio.lowlevel.checkpoint()
    steps = {after - before for before, after in pairwise(seen)}
    assert steps <= {0, most, 2 * most}  # it may go on before and after us in a turn
    assert steps - {0}
