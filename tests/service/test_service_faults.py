"""A fault belongs to one call or one device; nobody else notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio
from grpclib.const import Status
from panel import Panel, event_of
from service_home import FIVE, Home, frame, open_home
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.behaviour import Button, Rules
from audio_server.device.leds import ERROR
from audio_server.device.mode_store import MemoryModeStore
from audio_server.device.registry import Devices


class PoorStore(MemoryModeStore):
    """Fails for the devices whose names say so."""

    def get(self, device_id: str) -> int:
        if device_id == "unreadable":
            raise OSError("no such page")
        return super().get(device_id)

    def put(self, device_id: str, mode: int) -> None:
        if device_id == "unwritable":
            raise OSError("no space left")
        super().put(device_id, mode)


@dataclass(frozen=True, slots=True)
class TornClip(Clip):
    """A clip that cannot be read from its second slice on."""

    def slice(self, start: int, stop: int) -> bytes:
        if start:
            raise OSError("a bad sector")
        return Clip.slice(self, start, stop)


def poor_home() -> Any:
    devices = Devices(FIVE, Rules(len(FIVE)), 0.3, store=PoorStore())
    return open_home(devices=devices)


def take_errors(logs: list[Any], name: Callable[[Any], bool]) -> list[Any]:
    """Take the errors that a test expects out of the log."""
    errors = [line for line in logs if line["log_level"] == "error" and name(line)]
    logs[:] = [line for line in logs if line not in errors]
    return errors


async def works(home: Home, panel: Panel) -> None:
    """Another device is as it was: it hears a clip to its end, and all its calls are open."""
    panel.packets.clear()
    await panel.press(Button.STOP, Button.PLAY)
    await trio.sleep(2.0)
    assert panel.heard[-1] == "0:49."
    assert panel.shown == frame(0)
    assert panel.ended == {}


async def test_a_device_that_fails_ends_its_calls_alone(
    logs: list[Any], autojump_clock: MockClock
) -> None:
    async with poor_home() as home, home.device("good") as good:
        async with home.device("unwritable") as bad:
            await bad.calls["EventStream"].send_message(event_of(Button.MODE))
            await trio.sleep(0.1)
            assert set(bad.ended.values()) == {Status.INTERNAL}
        await works(home, good)
    (line,) = take_errors(logs, lambda line: line["event"] == "device failed")
    assert line["device"] == "unwritable"


async def test_a_device_that_failed_can_come_back(
    logs: list[Any], autojump_clock: MockClock
) -> None:
    async with poor_home() as home:
        async with home.device("unwritable") as bad:
            await bad.calls["EventStream"].send_message(event_of(Button.MODE))
            await trio.sleep(0.1)
        async with home.device("unwritable") as back:
            await back.press(Button.PLAY)
            await trio.sleep(2.0)
            assert back.heard[-1] == "0:49."
    assert len(take_errors(logs, lambda line: line["event"] == "device failed")) == 1


async def test_a_handler_that_fails_ends_its_call_alone(
    logs: list[Any], autojump_clock: MockClock
) -> None:
    async with poor_home() as home, home.device("good") as good:
        async with home.device("unreadable") as bad:
            await trio.sleep(0.1)
            assert bad.ended["StatusStream"] in (Status.UNKNOWN, Status.INTERNAL)
            assert bad.ended["ServerAudioStream"] in (Status.UNKNOWN, Status.INTERNAL)
        await works(home, good)
        assert "unreadable" not in home.devices.by_id
    assert len(take_errors(logs, lambda line: line["event"] == "handler failed")) == 3


async def test_a_clip_that_cannot_be_read_ends_its_take_alone(autojump_clock: MockClock) -> None:
    """The take is closed with silence, the device shows an error until the next press."""
    torn = TornClip(FIVE[3].name, FIVE[3].frames, FIVE[3].offsets)
    async with open_home([*FIVE[:3], torn, FIVE[4]]) as home, home.device("good") as good:
        async with home.device() as panel:
            await panel.press(*[Button.MODE] * 3, Button.PLAY)
            await trio.sleep(2.0)
            assert panel.heard == [*(f"3:{index}" for index in range(15)), "cut."]
            assert panel.shown[1] == ERROR
            await works(home, panel)
        await works(home, good)


async def test_a_fault_is_logged_with_its_device(
    logs: list[Any], autojump_clock: MockClock
) -> None:
    torn = TornClip(FIVE[3].name, FIVE[3].frames, FIVE[3].offsets)
    async with open_home([torn, *FIVE[1:]]) as home, home.device() as panel:
        await panel.press(Button.PLAY)
        await trio.sleep(2.0)
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["device"] == "one"
    assert "cannot be read" in line["error"]
