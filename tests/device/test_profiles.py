"""Devices with sounds and rules of their own, which may change while they play."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from announcements import Told
from fake_sink import make_clip
from kit import CLIPS, Connection, heard, running
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.behaviour import Button, Rules, State
from audio_server.device.leds import IDLE, PLAYING, POWER, STARTUP, dimmed, leds
from audio_server.device.pace import Pace
from audio_server.device.profile import Profile
from audio_server.device.registry import Devices

MODE, STOP, PLAY = Button.MODE, Button.STOP, Button.PLAY

LOBBY = Profile([make_clip(25, f"lobby{mode}") for mode in range(7)], Rules(7, "ignore"), Pace(0.1))
HALL = Profile([make_clip(25, f"hall{mode}") for mode in range(2)], Rules(2), Pace(0.3))
DIM = Profile(CLIPS, Rules(5), Pace(0.3), 10)


class House:
    """Devices of groups; `groups` has those that are not of the fleet."""

    def __init__(self, devices: Devices, connection: Connection) -> None:
        self.devices = devices
        self.connection = connection
        self.groups: dict[str, Profile] = {}
        devices.use_profiles(lambda device_id: self.groups.get(device_id, devices.profile))

    async def move(self, profile: Profile) -> None:
        self.groups["x"] = profile
        self.devices.change_profiles(["x"])
        await wait_all_tasks_blocked()


@asynccontextmanager
async def a_house(**groups: Profile) -> AsyncIterator[House]:
    devices = Devices(CLIPS, Rules(5), 0.3)
    async with running(devices) as requests:
        house = House(devices, Connection(devices, requests, 1))
        house.groups |= groups
        yield house


async def test_a_device_that_changes_groups_keeps_playing(autojump_clock: MockClock) -> None:
    async with a_house() as house:
        connection = house.connection
        sink = (await connection.open_audio()).sink
        await connection.press(MODE, PLAY)
        await trio.sleep(0.5)
        await house.move(LOBBY)
        assert connection.state == State(1, playing=1)
        await trio.sleep(0.2)
        await connection.press(PLAY)  # ignored from now on
        await trio.sleep(3)
        assert connection.state == State(1)
        await connection.press(*[MODE] * 5, PLAY)
        assert connection.state == State(6, playing=6)
        await trio.sleep(1)
    assert heard(sink) == ["clip1 100", "lobby6 25"]


async def test_a_new_lead_counts_from_the_next_take_on(autojump_clock: MockClock) -> None:
    async with a_house(x=HALL) as house:
        sink = (await house.connection.open_audio()).sink
        await house.connection.press(PLAY)
        assert len(sink.packets) == 15
        await house.move(LOBBY)
        await trio.sleep(1)
        before = len(sink.packets)
        await house.connection.press(PLAY)
        assert len(sink.packets) - before == 5


async def test_a_mode_that_the_new_group_lacks_is_home(autojump_clock: MockClock) -> None:
    async with a_house(x=LOBBY) as house:
        sink = (await house.connection.open_audio()).sink
        await house.connection.press(*[MODE] * 6, PLAY)
        await house.move(HALL)
        assert house.connection.state == State(0, playing=6)
        await house.connection.press(PLAY)
        await trio.sleep(1)
    assert heard(sink)[-1] == "hall0 25"


async def test_queued_clips_are_those_of_the_new_group(autojump_clock: MockClock) -> None:
    queue = Profile(CLIPS, Rules(5, "queue"), Pace(0.3))
    async with a_house(x=queue) as house:
        sink = (await house.connection.open_audio()).sink
        await house.connection.press(PLAY, MODE, PLAY, MODE, PLAY)
        await house.move(HALL)
        assert house.connection.state == State(2, playing=0, queue=(1,))
        await trio.sleep(5)
    assert heard(sink) == ["clip0 50", "hall1 25"]


async def test_a_device_comes_with_the_modes_of_its_group(autojump_clock: MockClock) -> None:
    async with a_house(x=LOBBY) as house:
        await house.connection.press(*[MODE] * 6)
        await house.connection.drop()
        await house.connection.open_status()
        assert house.connection.state == State(6)
        await house.connection.drop()
        house.groups = {}
        await house.connection.open_status()
        assert house.connection.state == State(0)


async def test_other_devices_stay_as_they_are(autojump_clock: MockClock) -> None:
    async with a_house() as house:
        await house.connection.open_status()
        house.groups["y"] = LOBBY
        house.devices.change_profiles(["y", "unknown"])
        assert house.connection.device.profile is house.devices.profile


async def test_clips_of_the_fleet_change_for_groups_without_their_own(
    autojump_clock: MockClock,
) -> None:
    async with a_house(x=LOBBY) as house:
        sink = (await house.connection.open_audio()).sink
        house.devices.change_clips([make_clip(25, "new")] * 5)
        await house.connection.press(PLAY)
        await trio.sleep(1)
        house.groups = {}
        house.devices.change_profiles()
        await house.connection.press(PLAY)
        await trio.sleep(1)
    assert heard(sink) == ["lobby0 25", "new 25"]


async def test_an_announcement_goes_on_and_the_new_clips_follow(autojump_clock: MockClock) -> None:
    async with a_house() as house:
        sink = (await house.connection.open_audio()).sink
        await house.connection.press(MODE)
        assert house.connection.device.announce(Told("call", 25))
        await house.move(LOBBY)
        await house.connection.press(PLAY)
        await trio.sleep(2)
    assert heard(sink) == ["call 25", "lobby1 25"]


async def test_brightness_dims_all_but_the_power_led(autojump_clock: MockClock) -> None:
    async with a_house(x=DIM) as house:
        status = await house.connection.open_status()
        assert status.shown.leds == dimmed(STARTUP[0][1], 10)
        await trio.sleep(2)
        assert status.shown.leds == dimmed(leds(State(0)), 10)
        assert status.shown.leds[0] == POWER
        await house.move(HALL)
        assert status.shown.leds == leds(State(0))
        await house.move(DIM)
        assert status.shown.leds[1] == 0x000919FF
        await house.connection.press(PLAY)
        assert status.shown.leds[1] == dimmed(leds(State(0, playing=0)), 10)[1]


@pytest.mark.parametrize(
    ("colour", "brightness", "seen"),
    [
        (IDLE, 100, IDLE),
        (IDLE, 50, 0x00307FFF),
        (PLAYING, 1, 0x000201FF),
        (0x010203FF, 1, 0x010101FF),
        (0, 1, 0),
    ],
)
def test_a_lit_colour_stays_lit(colour: int, brightness: int, seen: int) -> None:
    frame = (POWER, colour, colour, 0, 0, 0)
    assert dimmed(frame, brightness) == (POWER, seen, seen, 0, 0, 0)


async def test_a_fault_of_one_device_is_its_own(autojump_clock: MockClock) -> None:
    async with a_house() as house:
        await house.connection.open_status()
        other = Connection(house.devices, house.connection._nursery, 2, "y")
        await other.open_status()
        broken = Profile((), None, Pace(0.3))  # type: ignore[arg-type]
        house.groups = {"x": broken, "y": LOBBY}
        house.devices.change_profiles()
        assert list(house.devices.by_id) == ["y"]
        assert other.device.profile is LOBBY
