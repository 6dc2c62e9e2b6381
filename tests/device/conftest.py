"""Fixtures of the device tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest
import trio
from fake_sink import FakeSink
from kit import CLIPS, Connection, running
from stage import Stage

from audio_server.device.audio_stream import AudioStream
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.device.timer_wheel import TimerWheel


@pytest.fixture
def timer_wheel(nursery: trio.Nursery) -> TimerWheel:
    """One that runs."""
    timer_wheel = TimerWheel()
    nursery.start_soon(timer_wheel.run)
    return timer_wheel


@pytest.fixture
def stage(timer_wheel: TimerWheel) -> Stage:
    """Where a take is tried."""
    sink = FakeSink()
    return Stage(timer_wheel, sink, AudioStream(sink))


@pytest.fixture
def devices() -> Devices:
    """Devices with the rules' defaults."""
    return Devices(CLIPS, Rules(len(CLIPS)), 0.3)


Open: TypeAlias = Callable[..., Connection]


@pytest.fixture
async def connect(devices: Devices) -> AsyncIterator[Open]:
    """Makes a connection to `devices` by its number."""
    async with running(devices) as requests:

        def connect(number: int, device_id: str = "x") -> Connection:
            return Connection(devices, requests, number, device_id)

        yield connect
