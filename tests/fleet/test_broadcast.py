"""What those who watch are told, and that looking at thousands of devices holds up nobody."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, aclosing

import pytest
import trio
import trio.testing
from fleet_kit import CLIPS, Outlet, next_event, press, standing
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.device.telemetry import Telemetry
from audio_server.fleet.broadcast import BEHIND_MAX, ROWS_MAX, WATCHERS_MAX
from audio_server.fleet.change_tracker import BATCH, LOOK_S, LOOKS_A_ROUND, TOUCHED_MAX
from audio_server.fleet.interface import Row


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
            told = (await next_event(events))[1]
            assert (told["rows"], told["gone"]) == ([], ["a"])
            assert abs(told["now"] - time.time()) < 60


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


async def test_what_a_device_answers_and_which_streams_it_has_is_told_in_the_next_look(
    autojump_clock: MockClock,
) -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1), at.fleet.watching() as events:
            await next_event(events)
            for tenths in range(LOOKS_A_ROUND):
                at.devices.by_id["a"].learn(Telemetry(battery=tenths / 10))
                (row,) = await rows_within_a_look(events)
                assert row["battery"] == tenths / 10
            for number in range(LOOKS_A_ROUND):
                with at.devices.attach_audio("a", 1, Outlet()):
                    (row,) = await rows_within_a_look(events)
                    assert row["streams"] == ["events", "audio"], number
                (row,) = await rows_within_a_look(events)
                assert row["streams"] == ["events"]


async def rows_within_a_look(events: trio.MemoryReceiveChannel[bytes]) -> list[Row]:
    with trio.fail_after(LOOK_S + 0.01):
        _, told = await next_event(events)
    rows: list[Row] = told["rows"]
    return rows


async def test_what_nobody_tells_is_found_in_turn(autojump_clock: MockClock) -> None:
    """A take that pauses, or other clips."""
    async with standing() as at, AsyncExitStack() as stack:
        for number in range(20):
            stack.enter_context(at.devices.attach_events(str(number), number + 1))
        with at.fleet.watching() as events:
            await next_event(events)
            at.devices.change_clips([CLIPS[1], *CLIPS[1:]])
            found: set[str] = set()
            with trio.fail_after((LOOKS_A_ROUND + 1) * LOOK_S):
                while len(found) < 20:
                    found |= {row["id"] for row in (await next_event(events))[1]["rows"]}


async def test_a_look_at_devices_where_nothing_happens_is_at_few(autojump_clock: MockClock) -> None:
    async with standing() as at, AsyncExitStack() as stack:
        for number in range(80):
            stack.enter_context(at.devices.attach_events(str(number), number + 1))
        look = at.here.look
        assert len(look._due()) == 80
        for _ in range(3 * LOOKS_A_ROUND):
            look.touch("7")
            assert 10 <= len(look._due()) <= 11


async def test_a_look_that_was_broken_off_is_made_up_for() -> None:
    async with standing() as at, AsyncExitStack() as stack:
        for number in range(3 * BATCH):
            stack.enter_context(at.devices.attach_events(str(number), number + 1))
        look = at.here.look
        async with aclosing(look.changes()) as changes:
            first = await anext(changes)
        rest = [part async for part in look.changes()]
        told = [device_id for part in (first, *rest) for device_id in part.rows]
        assert sorted(told) == sorted(at.devices.by_id)


async def test_what_is_touched_while_nobody_looks_takes_no_memory() -> None:
    async with standing() as at:
        look = at.here.look
        look._due()
        for number in range(TOUCHED_MAX + 10):
            look.touch(str(number))
        assert look._touched is None


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
    """Between batches of devices everybody else runs, so nobody waits for the whole look; and no
    event has more than a batch of rows."""
    count = 80 * BATCH
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
                rows = []
                while len(rows) < count:
                    name, told = await next_event(events)
                    assert name == ("changes" if rows else "all")
                    assert len(told["rows"]) <= ROWS_MAX
                    rows += told["rows"]
            nursery.cancel_scope.cancel()
        assert len({row["id"] for row in rows}) == count
        assert turns >= count // BATCH
