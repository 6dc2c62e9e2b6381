"""How many go through in one turn of the loop, and in which order."""

from __future__ import annotations

from collections import Counter
from functools import partial

import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.rpc.io.fair_queue import NEWCOMER, WIDTH, ReadScheduler


class Turns(trio.abc.Instrument):
    """Counts the turns of the loop."""

    count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


async def through(count: int, width: int = 1) -> list[int]:
    """How many went through in each turn, of a crowd that came together."""
    scheduler, turns, passed = ReadScheduler(), Turns(), Counter[int]()

    async def enter() -> None:
        await scheduler.enter(width)
        passed[turns.count] += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(turns)
        for _ in range(count):
            nursery.start_soon(enter)
        await wait_all_tasks_blocked()
        trio.lowlevel.remove_instrument(turns)
        nursery.cancel_scope.cancel()
    return [passed[turn] for turn in sorted(passed)]


async def test_a_crowd_goes_through_in_turns() -> None:
    assert await through(3 * WIDTH + 1) == [WIDTH, WIDTH, WIDTH, 1]


async def test_a_few_readers_cause_no_turn() -> None:
    scheduler, turns = ReadScheduler(), Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await wait_all_tasks_blocked()
        waits = scheduler._task
        for _ in range(WIDTH - 1):
            await scheduler.enter()
        assert scheduler._task is waits is not None
        await scheduler.enter()
        assert scheduler._task is None
        await wait_all_tasks_blocked()
        trio.lowlevel.add_instrument(turns)
        await scheduler.enter()  # those of turns that are over have no place in line
        trio.lowlevel.remove_instrument(turns)
        assert turns.count == 0
        nursery.cancel_scope.cancel()


async def test_work_for_quiet_is_not_held_up_by_readers_of_turns_that_are_over() -> None:
    done: list[int] = []
    scheduler, turns = ReadScheduler(), Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await wait_all_tasks_blocked()
        for _ in range(WIDTH - 1):
            await scheduler.enter()
        await wait_all_tasks_blocked()
        for number in range(WIDTH):
            scheduler.when_quiet(partial(done.append, number))
        trio.lowlevel.add_instrument(turns)
        while len(done) < WIDTH:
            await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(turns)
        assert turns.count <= 2
        nursery.cancel_scope.cancel()


async def test_newcomers_count_for_several() -> None:
    assert await through(WIDTH, width=NEWCOMER) == [WIDTH // NEWCOMER] * NEWCOMER


async def test_who_is_alone_does_not_wait() -> None:
    scheduler = ReadScheduler()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await wait_all_tasks_blocked()
        with trio.CancelScope() as scope:
            scope.cancel()
            await scheduler.enter()  # a checkpoint would raise
        assert not scope.cancelled_caught
        nursery.cancel_scope.cancel()


async def test_what_waits_for_quiet_is_done_last_but_not_forgotten() -> None:
    order: list[str] = []
    scheduler = ReadScheduler()

    async def enter() -> None:
        await scheduler.enter()
        order.append("entered")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await wait_all_tasks_blocked()
        for _ in range(4 * WIDTH):
            nursery.start_soon(enter)
        for name in ("first", "second"):
            scheduler.when_quiet(partial(order.append, name))
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert len(order) == 4 * WIDTH + 2
    assert order.index("first") < order.index("second") <= 3 * WIDTH


async def test_what_waits_for_quiet_is_done_soon_when_it_is() -> None:
    done: list[int] = []
    scheduler = ReadScheduler()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await wait_all_tasks_blocked()
        for number in range(3 * WIDTH):
            scheduler.when_quiet(partial(done.append, number))
        assert done == []
        await wait_all_tasks_blocked()
        assert done == list(range(3 * WIDTH))
        scheduler.when_quiet(partial(done.append, -1))
        nursery.cancel_scope.cancel()
    assert done[-1] == -1
    scheduler.when_quiet(partial(done.append, -2))
    assert done[-1] == -2


async def test_a_cancelled_wait_leaves_the_line() -> None:
    scheduler = ReadScheduler()
    for _ in range(WIDTH):
        await scheduler.enter()
    with trio.move_on_after(0):
        await scheduler.enter()
    assert not scheduler._line


async def test_nobody_is_kept_when_it_stops_turning() -> None:
    scheduler = ReadScheduler()
    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as turning:
            turning.start_soon(scheduler.run)
            await wait_all_tasks_blocked()
            for _ in range(WIDTH):
                await scheduler.enter()
            for _ in range(WIDTH):
                nursery.start_soon(scheduler.enter, NEWCOMER)
            turning.cancel_scope.cancel()
        with trio.fail_after(1):
            await wait_all_tasks_blocked()
    await scheduler.enter()
