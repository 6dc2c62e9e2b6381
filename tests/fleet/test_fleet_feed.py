"""What those who watch are told, and that looking at thousands of devices holds up nobody."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
import trio.testing
from fleet_kit import Outlet, next_event, press, standing
from trio.testing import MockClock

from audio_server.device.rules import Button
from audio_server.fleet.feed import BEHIND_MAX, WATCHERS_MAX
from audio_server.fleet.local import LOOK_S
from audio_server.fleet.look import BATCH


async def test_all_is_told_first_and_then_what_changes(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with (
            at.devices.attach_events("b", 1),
            at.connected("a", 2) as link,
            at.fleet.watching() as events,
        ):
            name, told = await next_event(events)
            assert name == "all"
            assert [row["id"] for row in told["rows"]] == ["b", "a"]
            await press(link, Button.MODE)
            name, told = await next_event(events)
            assert name == "changes"
            (row,) = told["rows"]
            assert (row["id"], row["mode"], row["mode_name"]) == ("a", 1, "clip 1")
            assert told["gone"] == []


async def test_who_is_gone_is_told(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.fleet.watching() as events:
            with at.devices.attach_events("a", 1):
                _name, told = await next_event(events)
                assert len(told["rows"]) == 1
            assert (await next_event(events))[1] == {"rows": [], "gone": ["a"]}


async def test_a_take_is_told_once_and_not_as_it_goes(autojump_clock: MockClock) -> None:
    """The page moves its bar by itself."""
    async with standing() as at:
        with (
            at.devices.attach_audio("a", 1, Outlet()),
            at.devices.attach_events("a", 1) as link,
            at.fleet.watching() as events,
        ):
            await next_event(events)
            await press(link, Button.PLAY)
            (row,) = (await next_event(events))[1]["rows"]
            assert row["playing"]["clip"] == "clip 0"
            (row,) = (await next_event(events))[1]["rows"]
            assert row["playing"] is None
            assert trio.current_time() >= 1.0


async def test_nothing_is_told_when_nothing_changes(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1), at.fleet.watching() as events:
            await next_event(events)
            with pytest.raises(trio.TooSlowError), trio.fail_after(60):
                await next_event(events)


async def test_who_does_not_take_what_changes_is_let_go(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1) as link, at.fleet.watching() as events:
            for _ in range(BEHIND_MAX + 2):
                await press(link, Button.MODE)
                await trio.sleep(2 * LOOK_S)
            told = [event async for event in events]  # it ends
            assert len(told) == BEHIND_MAX


async def test_two_watch_the_same(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1) as link, at.fleet.watching() as one:
            await next_event(one)
            await press(link, Button.MODE)
            await next_event(one)
            with at.fleet.watching() as two:
                name, told = await next_event(two)
                assert (name, told["rows"][0]["mode"]) == ("all", 1)
                await press(link, Button.MODE)
                assert await next_event(one) == await next_event(two)


async def test_so_many_watch_and_no_more() -> None:
    async with standing() as at, AsyncExitStack() as stack:
        for _ in range(WATCHERS_MAX):
            assert not at.fleet.is_full
            stack.enter_context(at.fleet.watching())
        assert at.fleet.is_full


async def test_a_name_is_told(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected("a"), at.connected("b"), at.fleet.watching() as events:
            await trio.sleep(2)  # its LEDs have been greeted
            while events.statistics().current_buffer_used:
                await next_event(events)
            await at.fleet.rename("a", 'the "kitchen"')
            (row,) = (await next_event(events))[1]["rows"]
            assert (row["id"], row["name"]) == ("a", 'the "kitchen"')


async def test_others_have_their_turn_among_thousands() -> None:
    """Between batches of devices everybody else runs, so nobody waits for the whole look."""
    count = 40 * BATCH
    async with standing() as at, AsyncExitStack() as stack:
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
                _name, told = await next_event(events)
            nursery.cancel_scope.cancel()
        assert len(told["rows"]) == count
        assert turns >= count // BATCH
