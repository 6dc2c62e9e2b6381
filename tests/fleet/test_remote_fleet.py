"""The devices of several workers as one fleet."""

from __future__ import annotations

import trio
from fleet_kit import next_event, press
from trio.testing import MockClock
from worker_stand import drained, ids, spread, state

from audio_server.device.behaviour import Button, State
from audio_server.fleet.change_tracker import LOOK_S
from audio_server.fleet.event_numbers import PROCESSES

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


async def test_events_of_workers_have_numbers_of_their_machine(autojump_clock: MockClock) -> None:
    async with spread() as at:
        at.fleet.numbers.first = PROCESSES - 1
        with at.connected(1, "a"), at.connected(2, "b", 2) as link:
            with at.fleet.following(None) as events:
                await trio.sleep(1)
                await press(link, Button.MODE)
                last = (await events.receive())["seq"]
            told = [one["seq"] for one in await at.fleet.events(None)]
        assert {number % PROCESSES for number in told} == {0, 1}
        assert len(told) == len(set(told))
        for worker in (0, 1):  # those of two workers may lie in one millisecond
            of_worker = [number for number in told if number % PROCESSES == worker]
            assert of_worker == sorted(of_worker)
        assert last in told


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
        texts = [one["text"] for one in await at.fleet.events("a")]
        assert [text for text in texts if "name" in text or "called" in text] == [
            "renamed to x",
            "name removed",
        ]


async def test_a_change_by_another_machine_is_in_the_history(autojump_clock: MockClock) -> None:
    async with spread() as at, at.fleet.at_work():
        records = at.fleet.labels._inventory._records
        with at.connected(2, "a"):
            await records.rename("a", "x", is_known=True)
            await trio.sleep(1)
            assert "renamed to x" in [one["text"] for one in await at.fleet.events("a")]
        await trio.sleep(3)
        await records.forget("a", is_known=True)
        await trio.sleep(3)
        assert await at.fleet.row("a") is None
        assert await at.fleet.events("a") == []


# -- what happens


async def test_devices_with_a_tag_are_counted_over_all_workers() -> None:
    async with spread() as at:
        with at.connected(1, "a"), at.connected(2, "b", 2), at.connected(2, "c", 3):
            await at.fleet.tag(["a", "b"], ["lobby"], [])
            await at.fleet.tag(["c"], ["hall"], [])
            assert await at.fleet.tag_counts() == ({"hall": (1, 1), "lobby": (2, 2)}, ())
        assert await at.fleet.tag_counts() == ({"hall": (1, 0), "lobby": (2, 0)}, ())


async def test_what_happened_at_several_workers_is_told_in_order(autojump_clock: MockClock) -> None:
    async with spread() as at:
        for worker, number in ((1, 1), (2, 2), (1, 3)):
            with at.connected(worker, "a", number):
                await trio.sleep(1)
            await trio.sleep(1)
        told = await at.fleet.events("a")
        kinds = [one["kind"] for one in told if one["kind"] in ("connected", "gone")]
        assert kinds == ["connected", "gone"] * 3
        assert len({one["seq"] for one in told}) == len(told)
        assert [one["seq"] for one in await at.fleet.events(None)] == [one["seq"] for one in told]


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
                assert texts == ["pressed Mode", "LEDs lit: power white, status blue, square amber"]
                told = drained(everything)
                assert {one["device"] for one in told} == {"a", "b"}
                assert {one["seq"] for one in told} < {
                    one["seq"] for one in await at.fleet.events(None)
                }
            await press(link, Button.MODE)
            await trio.sleep(5)
            with at.fleet.following(None) as again:
                await trio.sleep(2 * LOOK_S)
                assert drained(again) == []  # nothing of what nobody followed
