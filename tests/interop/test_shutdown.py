"""A server that is told to stop: takes end properly, calls end in words, exit status 0."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import pytest
from heard import takes_of
from house import DENSE, LONG, SMALL_WINDOW, MadeClips, play, select
from server_process import ServerProcess
from stock_device import StockDevice

from audio_server import Settings
from audio_server.simulator.events import Call

GRACE_S = 2


@pytest.fixture
def mortals(clips: MadeClips) -> Iterator[list[ServerProcess]]:
    """Two servers for one test alone."""
    flags = ("--grace-s", str(GRACE_S))
    start = partial(ServerProcess, clips.folder, clips.cache, *flags)
    with ThreadPoolExecutor() as pool:
        servers = [starting.result() for starting in [pool.submit(start), pool.submit(start)]]
    yield servers
    for server in servers:
        server.stop()


def test_a_signal_ends_takes_calls_and_the_process(
    mortals: list[ServerProcess], clips: MadeClips
) -> None:
    """SIGTERM and SIGINT; each server has a device that is idle, one that plays, and the first
    also one that does not read."""
    deaf = StockDevice(mortals[0].target, "deaf", options=SMALL_WINDOW)
    pairs = [tuple(StockDevice(server.target, n) for n in ("idle", "plays")) for server in mortals]
    for idle, plays in pairs:
        idle.switch_on()
        plays.switch_on()
        select(plays, LONG)
        play(plays, packets=20)
    stall(deaf)
    told_s = time.monotonic()
    for server, number in zip(mortals, (signal.SIGTERM, signal.SIGINT), strict=True):
        server.signal(number)
    for idle, plays in pairs:
        is_told(idle)
        is_told(plays)
        (take,) = takes_of(plays.packets)
        assert take.is_cut(clips.long)
        assert take.packets[-1].at_s - told_s < GRACE_S
    assert [server.wait() for server in mortals] == [0, 0]
    assert time.monotonic() - told_s < Settings().grace_s
    assert [server.errors() for server in mortals] == [[], []]
    for device in (deaf, *(device for pair in pairs for device in pair)):
        device.switch_off()


def is_told(device: StockDevice) -> None:
    """All three calls end, and the device can tell why."""
    device.wait(lambda: len(device.ended) == len(Call))
    assert set(device.ended.values()) == {grpc.StatusCode.UNAVAILABLE}


def stall(device: StockDevice) -> None:
    """Have it play and not read, until its window is full."""
    device.switch_on()
    select(device, DENSE)
    play(device, packets=10)
    device.pause_reading()
    time.sleep(0.3)
