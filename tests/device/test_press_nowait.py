"""Presses that are applied in the turn in which they come."""

from __future__ import annotations

import pytest
import structlog
import trio
from kit import CLIPS, Connection, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.attachment import DeviceFailed
from audio_server.device.behaviour import Action, Button, Rules, State
from audio_server.device.mode_store import MemoryModeStore
from audio_server.device.press_queue import Press
from audio_server.device.registry import Devices

RULES = Rules(len(CLIPS))
MODE, PLAY, STOP = Button.MODE, Button.PLAY, Button.STOP
PRESS = Action.PRESS


class SlowStore(MemoryModeStore):
    """Keeps modes, and says that this takes time."""

    is_durable = True


class BadStore(MemoryModeStore):
    """Keeps nothing."""

    def put(self, device_id: str, mode: int) -> None:
        raise OSError("the disk is full")


async def test_all_that_follows_has_happened_when_it_returns(autojump_clock: MockClock) -> None:
    devices = Devices(CLIPS, RULES, 0.3)
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        audio, events = await device.open_audio(), await device.open_events()
        assert events.press_nowait(MODE, PRESS)
        assert events.press_nowait(PLAY, PRESS)
        assert device.state == State(1, playing=1)
        assert audio.sink.flags == "S" + "m" * 14
        assert events.press_nowait(STOP, PRESS)
        assert audio.sink.flags == "S" + "m" * 14 + "E"
        await trio.sleep(5)
        assert audio.sink.flags == "S" + "m" * 14 + "E"


async def test_it_waits_for_presses_before_it(autojump_clock: MockClock) -> None:
    devices = Devices(CLIPS, RULES, 0.3)
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        events = await device.open_events()
        device.device.press(Press(MODE, PRESS, trio.Event()))
        assert not events.press_nowait(STOP, PRESS)
        await wait_all_tasks_blocked()
        assert device.state == State(1)
        assert events.press_nowait(STOP, PRESS)
        assert device.state == State(0)


async def test_a_mode_that_takes_time_to_keep_is_not_selected(autojump_clock: MockClock) -> None:
    devices = Devices(CLIPS, RULES, 0.3, store=SlowStore())
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        events = await device.open_events()
        before = device.device.last_press
        assert not events.press_nowait(MODE, PRESS)
        assert (device.state, device.device.last_press) == (State(0), before)
        assert events.press_nowait(PLAY, PRESS)
        assert device.state == State(0, playing=0)


@pytest.mark.parametrize("number", [1, 2])
async def test_one_of_a_call_that_has_ended_is_not_applied(
    autojump_clock: MockClock, number: int
) -> None:
    devices = Devices(CLIPS, RULES, 0.3)
    async with running(devices) as requests:
        events = await Connection(devices, requests, 1).open_events()
        newer = Connection(devices, requests, number)
        await newer.open_events()
        assert not events.press_nowait(MODE, PRESS)
        assert newer.state == State(0)


async def test_a_fault_is_the_devices_and_the_press_is_never_done(
    autojump_clock: MockClock,
) -> None:
    devices = Devices(CLIPS, RULES, 0.3, store=BadStore())
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        events = await device.open_events()
        with structlog.testing.capture_logs() as logs:
            assert not events.press_nowait(MODE, PRESS)
            assert not events.press_nowait(PLAY, PRESS)
            with pytest.raises(trio.TooSlowError), trio.fail_after(1):
                await events.press(PLAY, PRESS)
        assert [line["event"] for line in logs] == ["device failed"]
        assert isinstance(device.request_of(events).ended_by, DeviceFailed)
        assert not devices.by_id
