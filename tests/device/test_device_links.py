"""Who holds a device: take-over, loss, failure, the mode that stays, and the end of it all."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import AsyncIterator, Callable

import pytest
import structlog
import trio
from fake_outlet import FakeOutlet
from kit import CLIPS, Connection, running
from trio.testing import MockClock

from audio_server.device import devices as registry
from audio_server.device.devices import Devices
from audio_server.device.links import DeviceFailed, Superseded
from audio_server.device.modes import MemoryModeStore
from audio_server.device.rules import Button, Rules, State

MODE, PLAY = Button.MODE, Button.PLAY
RULES = Rules(len(CLIPS))


@pytest.fixture
def devices() -> Devices:
    return Devices(CLIPS, RULES, 0.3)


Open = Callable[..., Connection]


@pytest.fixture
async def connect(devices: Devices) -> AsyncIterator[Open]:
    """Make a connection by its number."""
    async with running(devices) as requests:

        def connect(number: int, device_id: str = "x") -> Connection:
            return Connection(devices, requests, number, device_id)

        yield connect


# -- one connection


async def test_a_device_is_there_as_long_as_one_of_its_streams(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    first = connect(1)
    status, audio = await first.open_status(), await first.open_audio()
    await status.drop()
    assert list(devices.by_id) == ["x"]
    await audio.drop()
    assert not devices.by_id


async def test_the_mode_stays_and_nothing_else(connect: Open, autojump_clock: MockClock) -> None:
    first = connect(1)
    await first.open_audio()
    await first.press(MODE, MODE, PLAY)
    await first.drop()
    again = connect(1)
    await again.open_events()
    assert again.state == State(2)


async def test_the_same_stream_opened_again_ends_the_older_one_only(
    connect: Open, autojump_clock: MockClock
) -> None:
    first = connect(1)
    old, audio = await first.open_status(), await first.open_audio()
    new = await first.open_status()
    assert isinstance(old.ended_by, Superseded)
    assert new.ended_by is audio.ended_by is None
    await first.press(MODE)
    assert new.shown.leds[2] != 0


async def test_letting_go_of_a_stream_that_was_replaced_changes_nothing(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    first = connect(1)
    await first.open_audio()
    audio = await first.open_audio()
    await first.press(PLAY)
    assert list(devices.by_id) == ["x"]
    assert len(audio.outlet.packets) == 15


async def test_devices_do_not_affect_each_other(connect: Open, autojump_clock: MockClock) -> None:
    one, two = connect(1, "one"), connect(2, "two")
    await one.open_audio(FakeOutlet(-math.inf))
    audio = await two.open_audio()
    await one.press(MODE, MODE, PLAY)
    await two.press(PLAY)
    await one.drop()
    assert two.state == State(playing=0)
    assert len(audio.outlet.packets) == 15


# -- take-over


async def test_a_newer_connection_takes_over_at_once(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    requests = [await old.open_status(), await old.open_audio()]
    await old.press(MODE, PLAY)
    outlet = (await new.open_audio()).outlet
    assert all(isinstance(request.ended_by, Superseded) for request in [*requests, *old.requests])
    assert requests[1].outlet.flags == "S" + "m" * 14 + "E"  # type: ignore[attr-defined]
    assert new.state == State(1)
    await trio.sleep(5)
    assert outlet.flags == ""


@pytest.mark.parametrize("gone", [False, True])
async def test_whatever_the_older_one_does_later_is_refused(
    devices: Devices, connect: Open, autojump_clock: MockClock, gone: bool
) -> None:
    old, new = connect(1), connect(2)
    await old.open_events()
    await new.press(MODE)
    if gone:
        await new.drop()
    with pytest.raises(Superseded), devices.attach_status("x", 1):
        pass
    with pytest.raises(Superseded), devices.attach_events("x", 1):
        pass
    with pytest.raises(Superseded), devices.attach_audio("x", 1, FakeOutlet()):
        pass
    await new.open_events()
    assert new.state == State(1)


async def test_take_over_does_not_wait_for_an_old_stream_that_stalls(
    connect: Open, autojump_clock: MockClock
) -> None:
    old, new = connect(1), connect(2)
    stalled = (await old.open_audio()).outlet
    await old.press(PLAY)
    stalled.give(-math.inf)
    with trio.fail_after(0.001):
        audio = await new.open_audio()
        await new.press(PLAY)
    assert audio.outlet.flags == "S" + "m" * 14
    stalled.give(math.inf)
    await trio.sleep(1)
    assert stalled.flags == "S" + "m" * 14


async def test_a_hundred_reconnects_without_a_farewell(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    outlets = []
    for number in range(1, 101):
        device = connect(number)
        await device.open_status()
        outlets.append((await device.open_audio()).outlet)
        await device.press(MODE, PLAY)
    await trio.sleep(6)
    assert device.state == State(0)
    assert [outlet.flags.count("E") for outlet in outlets] == [1] * 100
    assert len(devices.by_id) == 1


# -- links in their task


async def test_a_request_that_is_cancelled_stays_cancelled(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    """Superseded and cancelled at once: the cancel is the request's, and wins."""
    with trio.CancelScope() as scope, devices.attach_status("x", 1):
        scope.cancel()
        with devices.attach_status("x", 2):
            pass
        await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_an_error_of_the_request_stays_its_error(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    with pytest.raises(KeyError), devices.attach_status("x", 1):  # noqa: PT012
        with devices.attach_status("x", 2):
            pass
        raise KeyError


async def test_attaching_before_run_is_a_mistake(devices: Devices) -> None:
    with pytest.raises(RuntimeError, match="not running"), devices.attach_status("x", 1):
        pass


def test_rules_must_know_the_clips() -> None:
    with pytest.raises(ValueError, match="rules for 4 clips, but there are 5"):
        Devices(CLIPS, Rules(4), 0.3)


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
        assert [entry["device_id"] for entry in logs] == ["x"]
        assert isinstance(audio.ended_by, DeviceFailed)
        assert isinstance(sick.requests[-1].ended_by, DeviceFailed)
        assert audio.outlet.flags == "S" + "m" * 14 + "E"
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
        outlets.append((await device.open_audio()).outlet)
        await device.press(PLAY)
    await connect(99, "idle").open_audio()
    with trio.fail_after(0.001):
        await devices.end_takes()
    assert {outlet.flags for outlet in outlets} == {"S" + "m" * 14 + "E"}


async def test_end_takes_waits_for_a_stalled_device_but_the_others_do_not(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    stalled = (await connect(1, "a").open_audio()).outlet
    well = (await connect(2, "b").open_audio()).outlet
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


async def test_after_that_presses_are_acknowledged_and_do_nothing(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    device = connect(1)
    await device.press(MODE)
    await devices.end_takes()
    audio = await device.open_audio()
    await device.press(MODE, PLAY)
    await trio.sleep(2)
    assert audio.outlet.flags == ""
    assert device.state == State(1)


async def test_a_device_that_is_gone_leaves_nothing_behind(
    devices: Devices, connect: Open, autojump_clock: MockClock
) -> None:
    device = connect(1)
    await device.open_status()
    await device.open_audio()
    await device.press(PLAY)
    status = weakref.ref(device.device.status)
    tasks = trio.lowlevel.current_statistics().tasks_living
    await device.drop()
    assert trio.lowlevel.current_statistics().tasks_living < tasks - 4
    device.requests.clear()
    gc.collect()
    assert status() is None


async def test_what_is_remembered_of_devices_that_are_gone_is_bounded(
    devices: Devices, connect: Open, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "GONE_MAX", 10)
    for index in range(30):
        with devices.attach_events(f"device {index}", 5):
            pass
    assert len(devices._gone) == 10
    with pytest.raises(Superseded), devices.attach_events("device 29", 4):
        pass
