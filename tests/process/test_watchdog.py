"""A loop that stands still is noticed; a machine that is slow or suspended is not taken for one."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from audio_server.process.watchdog import LOOK_S, START_S, wait_hung

PATIENCE_S = 5.0


class Loop:
    """Another loop, as its count shows it."""

    def __init__(self) -> None:
        self.count = 0.0

    def read(self) -> float:
        return self.count

    async def run(self, for_s: float) -> None:
        """Run for so long, and then hang."""
        until = trio.current_time() + for_s
        while trio.current_time() < until:
            self.count += 1
            await trio.sleep(0.2)


@pytest.mark.parametrize("runs_s", [1.0, 20.0, 300.0])
async def test_a_loop_that_hangs_is_noticed_in_time(
    runs_s: float, autojump_clock: MockClock
) -> None:
    loop = Loop()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.run, runs_s)
        await wait_hung(loop.read, PATIENCE_S)
    assert runs_s + PATIENCE_S - LOOK_S <= trio.current_time() <= runs_s + PATIENCE_S + 2 * LOOK_S


async def test_a_loop_that_is_late_does_not_hang(autojump_clock: MockClock) -> None:
    loop = Loop()

    async def crawl() -> None:
        while True:
            await trio.sleep(PATIENCE_S - LOOK_S)
            loop.count += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(crawl)
        with trio.move_on_after(100) as patience:
            await wait_hung(loop.read, PATIENCE_S)
        nursery.cancel_scope.cancel()
    assert patience.cancelled_caught


async def test_a_process_that_starts_has_longer(autojump_clock: MockClock) -> None:
    await wait_hung(Loop().read, PATIENCE_S)
    assert trio.current_time() == pytest.approx(START_S)


async def test_a_suspended_machine_counts_as_one_look(mock_clock: MockClock) -> None:
    loop, noticed = Loop(), trio.Event()

    async def watch() -> None:
        await wait_hung(loop.read, PATIENCE_S)
        noticed.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        loop.count = 1
        mock_clock.jump(LOOK_S)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(3600)
        await trio.testing.wait_all_tasks_blocked()
        assert not noticed.is_set()
        for _ in range(round(PATIENCE_S / LOOK_S) - 1):
            assert not noticed.is_set()
            mock_clock.jump(LOOK_S)
            await trio.testing.wait_all_tasks_blocked()
        assert noticed.is_set()
