"""Fixtures of the device tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest
import trio
from fake_outlet import FakeOutlet
from kit import CLIPS, Connection, running
from stage import Stage

from audio_server.device.devices import Devices
from audio_server.device.metronome import Metronome
from audio_server.device.rules import Rules
from audio_server.device.track import Track


@pytest.fixture
def metronome(nursery: trio.Nursery) -> Metronome:
    """One that runs."""
    metronome = Metronome()
    nursery.start_soon(metronome.run)
    return metronome


@pytest.fixture
def stage(metronome: Metronome) -> Stage:
    """Where a take is tried."""
    outlet = FakeOutlet()
    return Stage(metronome, outlet, Track(outlet))


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
