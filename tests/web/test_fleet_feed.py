"""What the fleet page is told, and that looking at thousands of devices holds up nobody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.devices import Devices
from audio_server.device.links import EventLink
from audio_server.device.rules import Action, Button, Rules
from audio_server.web.fleet import BATCH, BEHIND_MAX, LOOK_S, Fleet
from audio_server.web.house import titles

CLIPS = [Clip.from_packets(f"clip {mode}", [b"\xf8\xff\xfe"] * 50) for mode in range(5)]


class Audience:
    """A fleet that is watched."""

    def __init__(self, devices: Devices, fleet: Fleet) -> None:
        self.devices = devices
        self.fleet = fleet

    async def next(self, events: trio.MemoryReceiveChannel[bytes]) -> tuple[str, Any]:
        """The name of the next event and what it tells."""
        name, data = (await events.receive()).decode().strip().split("\n")
        return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    async def press(self, link: EventLink, *buttons: Button) -> None:
        for button in buttons:
            await link.press(button, Action.PRESS)


@asynccontextmanager
async def audience() -> AsyncIterator[Audience]:
    devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
    fleet = Fleet(devices, titles(CLIPS))
    async with trio.open_nursery() as nursery:
        await nursery.start(devices.run)
        nursery.start_soon(fleet.run)
        yield Audience(devices, fleet)
        nursery.cancel_scope.cancel()


async def test_all_is_told_first_and_then_what_changes(autojump_clock: MockClock) -> None:
    async with audience() as at:
        with (
            at.devices.attach_events("b", 1),
            at.devices.attach_events("a", 2) as link,
            at.fleet.watching() as events,
        ):
            name, told = await at.next(events)
            assert name == "all"
            assert [row["id"] for row in told["rows"]] == ["b", "a"]
            assert told["rows"][0]["playing"] is None
            assert told["rows"][0]["press"] is None
            await at.press(link, Button.MODE)
            name, told = await at.next(events)
            assert name == "changes"
            (row,) = told["rows"]
            assert (row["id"], row["mode"], row["name"]) == ("a", 1, "clip 1")
            assert row["press"]["button"] == "mode"
            assert row["leds"][2] == 0xFFB000FF
            assert told["gone"] == []


async def test_who_is_gone_is_told(autojump_clock: MockClock) -> None:
    async with audience() as at:
        with at.fleet.watching() as events:
            with at.devices.attach_events("a", 1):
                _name, told = await at.next(events)
                assert len(told["rows"]) == 1
            assert (await at.next(events))[1] == {"rows": [], "gone": ["a"]}


async def test_a_take_is_told_once_and_not_as_it_goes(autojump_clock: MockClock) -> None:
    """The page moves its bar by itself."""
    async with audience() as at:
        with (
            at.devices.attach_audio("a", 1, Outlet()),
            at.devices.attach_events("a", 1) as link,
            at.fleet.watching() as events,
        ):
            await at.next(events)
            await at.press(link, Button.PLAY)
            (row,) = (await at.next(events))[1]["rows"]
            assert row["playing"] == ["clip 0", 1.0]
            assert row["started"] is not None
            (row,) = (await at.next(events))[1]["rows"]
            assert row["playing"] is None
            assert trio.current_time() >= 1.0


async def test_nothing_is_told_when_nothing_changes(autojump_clock: MockClock) -> None:
    async with audience() as at:
        with at.devices.attach_events("a", 1), at.fleet.watching() as events:
            await at.next(events)
            with pytest.raises(trio.TooSlowError), trio.fail_after(60):
                await at.next(events)


async def test_who_does_not_take_what_changes_is_let_go(autojump_clock: MockClock) -> None:
    async with audience() as at:
        with at.devices.attach_events("a", 1) as link, at.fleet.watching() as events:
            for _ in range(BEHIND_MAX + 2):
                await at.press(link, Button.MODE)
                await trio.sleep(2 * LOOK_S)
            told = [event async for event in events]  # it ends
            assert len(told) == BEHIND_MAX


async def test_two_watch_the_same(autojump_clock: MockClock) -> None:
    async with audience() as at:
        with at.devices.attach_events("a", 1) as link, at.fleet.watching() as one:
            await at.next(one)
            await at.press(link, Button.MODE)
            await at.next(one)
            with at.fleet.watching() as two:
                name, told = await at.next(two)
                assert (name, told["rows"][0]["mode"]) == ("all", 1)
                await at.press(link, Button.MODE)
                assert await at.next(one) == await at.next(two)


async def test_others_have_their_turn_among_thousands() -> None:
    """Between batches of devices everybody else runs, so nobody waits for the whole look."""
    count = 40 * BATCH
    async with audience() as at:
        async with AsyncExitStack() as stack:
            for number in range(count):
                stack.enter_context(at.devices.attach_events(f"device-{number}", number + 1))
            await trio.testing.wait_all_tasks_blocked()
            turns = 0
            async with trio.open_nursery() as nursery:

                async def take_turns() -> None:
                    nonlocal turns
                    while True:
                        await trio.lowlevel.checkpoint()
                        turns += 1

                nursery.start_soon(take_turns)
                with at.fleet.watching() as events:
                    _name, told = await at.next(events)
                nursery.cancel_scope.cancel()
        assert len(told["rows"]) == count
        assert turns >= count // BATCH


class Outlet:
    """An audio stream that takes everything."""

    def room(self) -> int:
        return 1_000_000

    def send_nowait(self, frames: bytes) -> None:
        pass

    async def wait_room(self) -> None:
        await trio.lowlevel.checkpoint()
