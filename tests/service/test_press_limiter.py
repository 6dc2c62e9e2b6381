"""Presses past their rate wait; none is lost, and no other device is slowed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from panel import Panel
from service_home import open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button, State
from audio_server.service.press_limiter import PressLimiter


async def test_fifty_at_once_then_twenty_a_second(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        for _ in range(50):
            await panel.press(Button.MODE)
        assert trio.current_time() == 0
        for _ in range(41):
            await panel.press(Button.MODE)
        assert trio.current_time() == pytest.approx(41 / 20)
        assert home.devices.by_id["one"].state == State(91 % 5)


async def test_who_comes_again_gets_no_second_burst(autojump_clock: MockClock) -> None:
    async with open_home() as home:
        for _ in range(2):
            async with home.device(calls=["EventStream"]) as panel:
                for _ in range(50):
                    await panel.press(Button.MODE)
        assert trio.current_time() == pytest.approx(50 / 20, abs=0.01)


async def test_nobody_else_is_slowed(autojump_clock: MockClock) -> None:
    async with (
        open_home() as home,
        home.device() as fast,
        home.device("two") as other,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(press_many, fast, 200)
        for _ in range(10):
            await trio.sleep(0.5)
            before = trio.current_time()
            await other.press(Button.MODE)
            assert trio.current_time() == before


async def press_many(panel: Panel, times: int) -> None:
    for _ in range(times):
        await panel.press(Button.MODE)


async def test_buckets_that_are_full_are_forgotten(autojump_clock: MockClock) -> None:
    pace = PressLimiter((2, 1.0))
    wait: Callable[[str], Awaitable[None]] = pace.wait
    for number in range(5000):
        await wait(f"device-{number}")
        if number % 500 == 0:
            await trio.sleep(10)
    assert len(pace._buckets) <= 2048
