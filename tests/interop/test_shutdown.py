"""A server that is told to stop: takes end properly, calls end in words, exit status 0."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import grpc
import pytest
from heard import takes_of
from house import DENSE, LONG, SMALL_WINDOW, MadeClips, play, select, wait_shown
from server_process import ServerProcess
from stock_device import StockDevice

from audio_server.virtual.happenings import Call

GRACE_S = 2


@pytest.fixture
def mortal(clips: MadeClips) -> Iterator[ServerProcess]:
    """A server for this test alone."""
    server = ServerProcess(clips.folder, clips.cache, "--grace-s", str(GRACE_S))
    yield server
    server.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_takes_calls_and_the_process(
    mortal: ServerProcess, clips: MadeClips, number: signal.Signals
) -> None:
    """One that is idle, one that plays, and (for SIGTERM) one that does not read."""
    idle, playing = (StockDevice(mortal.target, name) for name in ("idle", "playing"))
    deaf = StockDevice(mortal.target, "deaf", options=SMALL_WINDOW)
    for device in (idle, playing):
        device.switch_on()
    select(playing, LONG)
    play(playing, packets=20)
    wait_shown(idle, 0)
    if number is signal.SIGTERM:
        stall(deaf)
    told_s = time.monotonic()
    mortal.signal(number)
    for device in (idle, playing):
        device.wait(lambda: len(device.ended) == len(Call))  # noqa: B023
        assert set(device.ended.values()) == {grpc.StatusCode.UNAVAILABLE}
    (take,) = takes_of(playing.packets)
    assert take.is_cut(clips.long)
    assert take.packets[-1].at_s - told_s < 1.0
    assert mortal.wait() == 0
    assert time.monotonic() - told_s < GRACE_S + 3.0
    assert mortal.errors() == []
    for device in (idle, playing, deaf):
        device.switch_off()


def stall(device: StockDevice) -> None:
    """Have it play and not read, until its window is full."""
    device.switch_on()
    select(device, DENSE)
    play(device, packets=10)
    device.pause_reading()
    time.sleep(0.5)
