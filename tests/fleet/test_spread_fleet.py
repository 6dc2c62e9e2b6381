"""The devices of several workers as one fleet, also when a worker hangs, dies or comes back."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from fleet_kit import next_event, press
from trio.testing import MockClock, memory_stream_pair
from worker_stand import Spread, spread

from audio_server.device.rules import Button, State
from audio_server.fleet.local import LOOK_S
from audio_server.fleet.member import LATE_S, PING_S
from audio_server.fleet.station import Station


async def ids(at: Spread) -> set[str]:
    return {row["id"] for row in await at.fleet.rows()}


def state(at: Spread, worker: int, device_id: str) -> State:
    return at.workers[worker].devices.by_id[device_id].state


# -- what is seen


async def test_the_rows_of_all_workers(autojump_clock: MockClock) -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b", 2):
            await at.fleet.rename("b", "Küche")
            rows = {row["id"]: row for row in await at.fleet.rows()}
            assert {key: row["worker"] for key, row in rows.items()} == {"a": 1, "b": 2}
            assert (rows["a"]["name"], rows["b"]["name"]) == (None, "Küche")
            row = await at.fleet.row("b")
            assert row is not None
            assert (row["id"], row["worker"]) == ("b", 2)
            assert await at.fleet.row("nobody") is None
        row = await at.fleet.row("a")
        assert row is not None
        assert not row["connected"]


async def test_who_watches_is_told_of_all(autojump_clock: MockClock) -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b", 2) as link:
            await trio.sleep(2)
            with at.fleet.watching() as events:
                name, told = await next_event(events)
                assert (name, {row["id"] for row in told["rows"]}) == ("all", {"a", "b"})
                await press(link, Button.MODE)
                name, told = await next_event(events)
                assert name == "changes"
                assert [(row["id"], row["mode"]) for row in told["rows"]] == [("b", 1)]
                await at.fleet.rename("a", "Küche")
                _, told = await next_event(events)
                assert [(row["id"], row["name"]) for row in told["rows"]] == [("a", "Küche")]


async def test_nothing_is_asked_while_nobody_looks(autojump_clock: MockClock) -> None:
    async with spread() as at:
        worker = at.workers[1]
        worker.go_on = trio.Event()  # it hangs, and nobody notices
        await trio.sleep(60)
        worker.go_on.set()
        with at.connected(1, "a"):
            assert await ids(at) == {"a"}


async def test_a_device_that_moves_stays_in_sight(autojump_clock: MockClock) -> None:
    async with spread() as at:
        with at.connected(2, "b", 9), at.fleet.watching() as events:
            with at.connected(1, "a", 1):
                await next_event(events)
                with at.connected(2, "a", 2):
                    await trio.sleep(3)
                    assert [row["worker"] for row in await at.fleet.rows()] == [2, 2]
                    while events.statistics().current_buffer_used:
                        _, told = await next_event(events)
                    assert told["gone"] == []
            assert (await at.fleet.rows())[0]["id"] == "b"


# -- what is done


async def test_each_worker_does_it_to_its_own_devices(autojump_clock: MockClock) -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b", 2), at.connected(2, "c", 3):
            assert await at.fleet.press("b", Button.MODE) == ("done", None)
            assert state(at, 2, "b").mode == 1
            outcomes = await at.fleet.play(["a", "b", "nobody"], 3)
            results = {key: outcome.result for key, outcome in outcomes.items()}
            assert results == {"a": "done", "b": "done", "nobody": "gone"}
            assert (state(at, 1, "a"), state(at, 2, "b")) == (State(0, 3), State(1, 3))
            assert state(at, 2, "c") == State(0)
            assert (await at.fleet.play(["a"], 9))["a"].reason == "there is no such clip"
            assert (await at.fleet.stop(None)).keys() == {"a", "b", "c"}
            assert state(at, 2, "b") == State(1)
            assert (await at.fleet.press("nobody", Button.MODE)).result == "gone"
        assert (await at.fleet.press("a", Button.MODE)).result == "gone"


async def test_names_are_for_devices_that_are_known() -> None:
    async with spread() as at:
        assert (await at.fleet.rename("nobody", "x")).result == "gone"
        with at.connected(1, "a"):
            assert (await at.fleet.rename("a", "x")).result == "done"
        assert (await at.fleet.rename("a", None)).result == "done"
        texts = [one["text"] for one in await at.fleet.happenings("a")]
        assert [text for text in texts if "name" in text or "called" in text] == [
            "is called x now",
            "has no name any more",
        ]


# -- what happens


async def test_what_happened_at_several_workers_is_told_in_order(autojump_clock: MockClock) -> None:
    async with spread() as at:
        for worker, number in ((1, 1), (2, 2), (1, 3)):
            with at.connected(worker, "a", number):
                await trio.sleep(1)
            await trio.sleep(1)
        told = await at.fleet.happenings("a")
        kinds = [one["kind"] for one in told if one["kind"] in ("connected", "gone")]
        assert kinds == ["connected", "gone"] * 3
        assert len({one["seq"] for one in told}) == len(told)
        assert [one["seq"] for one in await at.fleet.happenings(None)] == [
            one["seq"] for one in told
        ]


async def test_what_happens_is_followed(autojump_clock: MockClock) -> None:
    async with spread() as at:
        with at.connected(1, "a") as link, at.connected(2, "b", 2):
            await trio.sleep(5)
            with at.fleet.following("a") as mine, at.fleet.following(None) as everything:
                await trio.sleep(2 * LOOK_S)
                await at.fleet.press("b", Button.MODE)
                await press(link, Button.MODE)
                await trio.sleep(2 * LOOK_S)
                texts = [one["text"] for one in drained(mine)]
                assert texts == ["pressed Mode", "LEDs 0, 1, 2 lit"]
                told = drained(everything)
                assert {one["device"] for one in told} == {"a", "b"}
                assert {one["seq"] for one in told} < {
                    one["seq"] for one in await at.fleet.happenings(None)
                }
            await press(link, Button.MODE)
            await trio.sleep(5)
            with at.fleet.following(None) as again:
                await trio.sleep(2 * LOOK_S)
                assert drained(again) == []  # nothing of what nobody followed


def drained(channel: trio.MemoryReceiveChannel[Any]) -> list[Any]:
    waiting = channel.statistics().current_buffer_used
    return [channel.receive_nowait() for _ in range(waiting)]


# -- workers that are not there


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
    assert [line["event"] for line in logs] == ["worker does not answer", "worker answers again"]


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


async def test_a_worker_that_talks_nonsense_is_left_out_and_logged(
    autojump_clock: MockClock, logs: Any
) -> None:
    near, far = memory_stream_pair()
    async with spread() as at, trio.open_nursery() as nursery:
        with at.connected(1, "a"):
            nursery.start_soon(at.fleet.attach, 3, near)
            await far.send_all(b"nonsense\n")
            await trio.testing.wait_all_tasks_blocked()
            assert await ids(at) == {"a"}
    assert [line["event"] for line in logs] == ["worker cannot be asked"]


async def test_a_worker_that_is_asked_nonsense_goes_on(logs: Any) -> None:
    near, far = memory_stream_pair()
    async with spread() as at, trio.open_nursery() as nursery:
        worker = at.workers[1]
        with at.connected(1, "a") as link:
            nursery.start_soon(Station(worker.devices, 1).run, far)
            await near.send_all(b"nonsense\n")
            assert await near.receive_some() == b""
            await press(link, Button.MODE)
            assert state(at, 1, "a").mode == 1
    assert [line["event"] for line in logs] == ["worker cannot be asked"]


async def test_with_no_worker_there_is_no_device(autojump_clock: MockClock) -> None:
    async with spread() as at:
        at.seats["a"] = 1
        at.kill(1)
        at.kill(2)
        await trio.sleep(1)
        assert await at.fleet.rows() == []
        assert await at.fleet.happenings(None) == []
        assert await at.fleet.play(None, 0) == {}
        assert (await at.fleet.press("a", Button.MODE)).result == "gone"
        with at.fleet.watching() as events:
            assert (await next_event(events))[1]["rows"] == []
            await trio.sleep(5)
            assert events.statistics().current_buffer_used == 0
