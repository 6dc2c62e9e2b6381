"""What outlives a device, and how devices end: by a fault, by a shutdown, without a trace."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Callable
from typing import TypeAlias

import pytest
import structlog
import trio
from kit import CLIPS, Connection, running
from trio.testing import MockClock

from audio_server.device import registry
from audio_server.device.attachment import DeviceFailed
from audio_server.device.behaviour import Button, Rules, State
from audio_server.device.mode_store import MemoryModeStore
from audio_server.device.registry import Devices

MODE, PLAY = Button.MODE, Button.PLAY
RULES = Rules(len(CLIPS))

Open: TypeAlias = Callable[..., Connection]


# -- modes


@pytest.mark.parametrize(("kept", "mode"), [(0, 0), (4, 4), (5, 0), (-1, 0)])
async def test_a_kept_mode_that_is_none_any_more_is_home(
    autojump_clock: MockClock, kept: int, mode: int
) -> None:
    store = MemoryModeStore()
    store.put("x", kept)
    devices = Devices(CLIPS, RULES, 0.3, store=store)
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        await device.open_status()
        assert device.state == State(mode)


def test_the_store_in_memory_forgets_home() -> None:
    store = MemoryModeStore()
    store.put("x", 3)
    assert store.get("x") == 3
    store.put("x", 0)
    store.put("y", 0)
    assert store.get("x") == store.get("y") == 0
    assert not store._modes


# -- failure


class FailingStore(MemoryModeStore):
    """Fails when a device goes to mode 2."""

    def put(self, device_id: str, mode: int) -> None:
        if mode == 2:
            raise OSError("the disk is full")
        super().put(device_id, mode)


async def test_a_device_that_fails_ends_alone(autojump_clock: MockClock) -> None:
    devices = Devices(CLIPS, RULES, 0.3, store=FailingStore())
    async with running(devices) as requests:
        sick, well = Connection(devices, requests, 1), Connection(devices, requests, 2, "well")
        audio = await sick.open_audio()
        await well.press(MODE)
        with structlog.testing.capture_logs() as logs:
            await sick.press(MODE, PLAY)
            with trio.move_on_after(1):
                await sick.press(MODE)
        assert [entry["device"] for entry in logs] == ["x"]
        assert isinstance(audio.ended_by, DeviceFailed)
        assert isinstance(sick.requests[-1].ended_by, DeviceFailed)
        assert audio.sink.flags == "S" + "m" * 14 + "E"
        assert list(devices.by_id) == ["well"]
        await sick.open_status()
        assert sick.state == State(1)


# -- the end


async def test_end_takes_closes_every_take_at_once(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    outlets = []
    for index in range(20):
        device = connect(index, f"device {index}")
        outlets.append((await device.open_audio()).sink)
        await device.press(PLAY)
    await connect(99, "idle").open_audio()
    with trio.fail_after(0.001):
        await devices.end_takes()
    assert {sink.flags for sink in outlets} == {"S" + "m" * 14 + "E"}


async def test_end_takes_waits_for_a_stalled_device_but_the_others_do_not(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    stalled = (await connect(1, "a").open_audio()).sink
    well = (await connect(2, "b").open_audio()).sink
    await connect(1, "a").press(PLAY)
    await connect(2, "b").press(PLAY)
    stalled.give(-math.inf)
    with trio.move_on_after(1) as scope:
        await devices.end_takes()
    assert scope.cancelled_caught
    assert well.flags == "S" + "m" * 14 + "E"
    assert well.packets[-1].at_s == 0
    stalled.give(math.inf)
    with trio.fail_after(0.001):
        await devices.end_takes()
    assert stalled.flags == well.flags


async def test_after_that_nothing_starts_but_a_mode_that_is_acknowledged_is_kept(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    device = connect(1)
    await device.press(MODE)
    await devices.end_takes()
    audio = await device.open_audio()
    await device.press(MODE, PLAY)
    await trio.sleep(2)
    assert audio.sink.flags == ""
    assert device.state == State(2)


async def test_the_audio_task_begins_with_the_first_take_that_has_to_wait(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    device = connect(1)
    sink = (await device.open_audio()).sink
    sink.give(-math.inf)
    await trio.testing.wait_all_tasks_blocked()
    tasks = trio.lowlevel.current_statistics().tasks_living
    await device.press(PLAY)
    await trio.testing.wait_all_tasks_blocked()
    assert trio.lowlevel.current_statistics().tasks_living == tasks + 2  # and the events call
    sink.give(math.inf)
    await trio.sleep(10)
    assert sink.flags == "S" + "m" * 48 + "E"
    await device.press(PLAY)
    await trio.sleep(10)
    assert sink.flags == 2 * ("S" + "m" * 48 + "E")


async def test_a_device_that_is_gone_leaves_nothing_behind(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    device = connect(1)
    await device.open_status()
    (await device.open_audio()).sink.give(-math.inf)
    await device.press(PLAY)
    pressed = weakref.ref(device.device._scope)
    tasks = trio.lowlevel.current_statistics().tasks_living
    await device.drop()
    assert trio.lowlevel.current_statistics().tasks_living < tasks - 4
    device.requests.clear()
    gc.collect()
    assert pressed() is None


async def test_what_is_remembered_of_devices_that_are_gone_is_bounded(
    devices: Devices, connect: Open, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "GONE_MAX", 10)
    for index in range(30):
        with devices.attach_events(f"device {index}", 5):
            pass
    assert len(devices._gone) == 10
