"""The devices of several workers when one of them hangs, fails, dies, or comes back."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from fleet_kit import next_event, press
from trio.testing import MockClock
from worker_stand import Spread, drained, ids, spread, state

from audio_server.device.behaviour import Button, State
from audio_server.fleet.change_tracker import ChangeTracker
from audio_server.fleet.workers import LATE_S, PING_S


async def test_a_worker_that_hangs_has_no_devices_until_it_answers(
    autojump_clock: MockClock, logs: Any
) -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b", 2), at.fleet.watching() as events:
            await trio.sleep(3)
            at.workers[2].go_on = trio.Event()
            await trio.sleep(LATE_S + 1)
            began_at = trio.current_time()
            assert await ids(at) == {"a"}  # and at once: it is known to hang
            assert (await at.fleet.press("b", Button.MODE)).reason == "its worker gave no answer"
            outcomes = await at.fleet.play(["a", "b"], 0)
            assert (outcomes["a"].result, outcomes["b"].result) == ("done", "failed")
            assert trio.current_time() == began_at
            await trio.sleep(300)
            at.workers[2].go_on.set()
            await trio.sleep(PING_S + LATE_S + 1)
            assert await ids(at) == {"a", "b"}
            assert state(at, 2, "b") == State(0)  # what failed has not been done
            gone, back = await seen(events, "b")
            assert gone < back
    assert [line["event"] for line in logs] == ["worker does not answer", "worker answers"]


async def seen(events: Any, device_id: str) -> tuple[int, int]:
    """Which event told last that a device was gone, and which that it was there."""
    gone = there = -1
    for number in range(events.statistics().current_buffer_used):
        _, told = await next_event(events)
        gone = number if device_id in told["gone"] else gone
        there = number if device_id in {row["id"] for row in told["rows"]} else there
    return gone, there


async def test_a_worker_that_is_killed_takes_its_devices_along_and_comes_back(
    autojump_clock: MockClock, logs: Any
) -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b", 2), at.fleet.watching() as events:
            await trio.sleep(3)
            at.kill(2)
            await trio.sleep(1)
            assert await ids(at) == {"a"}
            assert (await at.fleet.press("b", Button.MODE)).result == "gone"
            await at.start(2)
            with at.connected(2, "b", 3):
                await trio.sleep(3)
                assert await ids(at) == {"a", "b"}
                gone, back = await seen(events, "b")
                assert 0 <= gone < back
    assert logs == []


async def test_a_worker_that_takes_its_time_to_start_is_no_cause_for_alarm(
    autojump_clock: MockClock, logs: Any
) -> None:
    """A page that was open when the server stopped asks again before the workers have loaded."""
    async with spread() as at:
        worker = await at.start(3, hung=True)
        with at.connected(3, "c"), at.fleet.watching():
            await trio.sleep(2 * LATE_S)
            worker.go_on.set()
            await trio.sleep(PING_S + LATE_S)
            assert await ids(at) == {"c"}
            worker.go_on = trio.Event()
            await trio.sleep(2 * LATE_S)
    said = [(line["event"], line["log_level"]) for line in logs]
    assert said[:2] == [("worker does not answer yet", "info"), ("worker answers", "info")]
    assert said[2:] == [("worker does not answer", "warning")]


async def test_what_a_worker_fails_to_tell_is_told_with_the_next_look(
    autojump_clock: MockClock, logs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.fleet.watching() as events:
            await trio.sleep(3)
            with monkeypatch.context() as patch:
                patch.setattr(ChangeTracker, "_changes", None)
                await trio.sleep(1)
            await trio.sleep(1)
            gone, back = await seen(events, "a")
            assert 0 <= gone < back
    assert {line["event"] for line in logs} == {"answer failed"}


async def test_who_follows_misses_nothing_of_a_worker_that_hangs_or_is_new(
    autojump_clock: MockClock, logs: Any
) -> None:
    async with spread() as at:
        with at.fleet.following(None) as following:
            with at.connected(2, "b", 2) as link:
                await trio.sleep(3)
                at.workers[2].go_on = trio.Event()
                await press(link, Button.MODE)
                await trio.sleep(30)
                at.workers[2].go_on.set()
                await trio.sleep(PING_S + LATE_S + 1)
                assert "pressed Mode" in [one["text"] for one in drained(following)]
            at.kill(2)
            await at.start(2)
            with at.connected(2, "b", 3):
                await trio.sleep(1)
            kinds = [one["kind"] for one in drained(following)]
            assert (kinds[0], kinds[-1]) == ("connected", "leds")


async def test_a_worker_that_dies_while_it_is_asked_holds_up_nobody() -> None:
    async with spread() as at, trio.open_nursery() as nursery:
        with at.connected(1, "a"):
            at.workers[2].go_on = trio.Event()
            nursery.start_soon(asks, at)
            await trio.testing.wait_all_tasks_blocked()
            at.kill(2)


async def asks(at: Spread) -> None:
    with trio.fail_after(1):
        assert await ids(at) == {"a"}


async def test_with_no_worker_there_is_no_device(autojump_clock: MockClock) -> None:
    async with spread() as at:
        with at.connected(1, "a"):
            pass
        at.kill(1)
        at.kill(2)
        await trio.sleep(1)
        assert await at.fleet.rows() == []
        assert await at.fleet.events(None) == []
        assert await at.fleet.play(None, 0) == {}
        assert (await at.fleet.press("a", Button.MODE)).result == "gone"
        with at.fleet.watching() as events:
            assert (await next_event(events))[1]["rows"] == []
            await trio.sleep(5)
            assert events.statistics().current_buffer_used == 0


async def test_a_worker_that_hangs_ends_nothing_where_there_are_no_pages(
    autojump_clock: MockClock, logs: Any
) -> None:
    async with trio.open_nursery() as nursery:
        at = Spread(nursery)
        worker = await at.start(1)
        async with at.fleet.at_work():  # `run` is that of the pages
            with at.connected(1, "a"):
                await trio.sleep(3)
                worker.go_on = trio.Event()
                assert (await at.fleet.rename("a", "Kitchen")).result == "done"
                async with trio.open_nursery() as pages:
                    pages.start_soon(at.fleet.run)
                    await trio.sleep(1)
                    assert await ids(at) == set()
                    pages.cancel_scope.cancel()
                worker.go_on.set()
                await trio.sleep(PING_S)
                assert await ids(at) == {"a"}
                worker.go_on = trio.Event()
                assert (await at.fleet.rename("a", "Hall")).result == "done"
                worker.go_on.set()
        nursery.cancel_scope.cancel()
