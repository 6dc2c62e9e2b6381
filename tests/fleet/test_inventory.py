"""The inventory: what is collected of a device, when, and what is given up."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio
from fleet_kit import PEER, Stand, next_event, press, standing
from trio.testing import MockClock
from worker_stand import spread

from audio_server.cluster.inventory import SharedInventory
from audio_server.device.behaviour import Button
from audio_server.device.entry import Entry
from audio_server.fleet import inventory
from audio_server.fleet.interface import GONE, IS_CONNECTED
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.inventory_store import MemoryInventory
from audio_server.fleet.names import BadName
from audio_server.fleet.sightings import COLLECT_S, ROUND_S, SLOW_S, Sighting


class CountingStore(MemoryInventory):
    """Counts what would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def put_entry(self, device_id: str, entry: Entry | None) -> None:
        self.writes += 1
        super().put_entry(device_id, entry)


def counted(at: Stand) -> CountingStore:
    store = CountingStore()
    at.fleet._rows._inventory = Inventory(store)
    return store


async def test_a_device_that_has_left_is_known(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected() as link:
            await trio.sleep(2)
            await press(link, Button.MODE, Button.MODE, Button.PLAY)
            assert list(await at.fleet.away()) == []
        await trio.sleep(2 * COLLECT_S)
        (row,) = await at.fleet.away()
        assert (row["id"], row["connected"], row["mode"], row["address"]) == ("a", False, 2, PEER)
        assert (row["connections"], row["takes"], row["errors_ever"]) == (1, 1, 0)
        assert row["last_seen"] == pytest.approx(time.time(), abs=5)
        assert row.keys() == (await at.fleet.row("a") or {}).keys()
        with at.connected(number=2):
            await trio.sleep(2 * COLLECT_S)
            (row,) = await at.fleet.rows()
            assert (row["connections"], row["last_seen"]) == (2, None)
            assert list(await at.fleet.away()) == []


async def test_presses_and_takes_are_written_once_a_minute(autojump_clock: MockClock) -> None:
    async with standing() as at:
        store = counted(at)
        with at.connected() as link:
            await trio.sleep(2 * COLLECT_S)
            assert store.writes == 1
            for _ in range(20):
                await press(link, Button.MODE, Button.PLAY)
            await trio.sleep(SLOW_S - 5)
            assert store.writes == 1
            await trio.sleep(10)
            assert store.writes == 2
            entry = store.entries["a"]
            assert entry is not None
            assert entry.takes == 20
            await trio.sleep(ROUND_S)
            assert store.writes == 3  # what it showed when its last take ended
            await trio.sleep(ROUND_S)
            assert store.writes == 4
        await trio.sleep(2 * COLLECT_S)


async def test_a_device_that_has_never_come_is_not_known(autojump_clock: MockClock) -> None:
    async with standing() as at:
        assert await at.fleet.row("nobody") is None
        assert await at.fleet.forget("nobody") == GONE
        assert await at.fleet.tag(["nobody"], ["x"], []) == {"nobody": GONE}


async def test_forgotten_with_all_that_was_known(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected():
            await at.fleet.rename("a", "Kitchen")
            await at.fleet.tag(["a"], ["east"], [])
            assert await at.fleet.forget("a") == IS_CONNECTED
        assert (await at.fleet.forget("a")).result == "done"
        await trio.sleep(2 * COLLECT_S)
        assert await at.fleet.row("a") is None
        assert list(await at.fleet.away()) == list(at.fleet.tagged("east")) == []


async def test_tags(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected("a"), at.connected("b", 2):
            await at.fleet.tag(["a", "b"], ["Lobby", "east"], [])
            assert (await at.fleet.row("a") or {})["tags"] == ["east", "lobby"]
            await at.fleet.tag(["a"], [], ["east", "never-there"])
            assert set(at.fleet.tagged("lobby")) == {"a", "b"}
            assert list(at.fleet.tagged("east")) == ["b"]
            assert await at.fleet.tag_counts() == ({"east": (1, 1), "lobby": (2, 2)}, ())
            for bad in ("", "two words", "a,b", "-x", "x" * 33, "é", "x\n"):
                with pytest.raises(BadName, match="a tag has 1 to 32"):
                    await at.fleet.tag(["a"], [bad], [])
            many = [f"t{number}" for number in range(16)]
            outcomes = await at.fleet.tag(["a", "b"], many, ["lobby", "east"])
            assert {one.result for one in outcomes.values()} == {"done"}
            outcomes = await at.fleet.tag(["a"], ["more"], [])
            assert outcomes["a"].reason == "it would have more than 16 tags"


async def test_pages_hear_of_changes_to_devices_that_are_away(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected():
            await trio.sleep(1)
        await trio.sleep(2)
        with at.fleet.watching() as events:
            await next_event(events)
            await at.fleet.tag(["a"], ["lobby"], [])
            _, told = await next_event(events)
            (row,) = told["away"]
            assert (row["id"], row["tags"], row["connected"]) == ("a", ["lobby"], False)
            await at.fleet.forget("a")
            _, told = await next_event(events)
            assert (told["forgotten"], "away" in told) == (["a"], False)


# -- several processes


async def test_an_end_at_the_process_that_a_device_left_is_no_end(
    autojump_clock: MockClock,
) -> None:
    shared = SharedInventory()
    at = Inventory(shared=shared)
    at.take([sighting("a", came_ns=1)], "worker 1")
    newest = sighting("a", "10.0.0.2:5", came_ns=2, mode=3, firmware="2.0")
    at.take([newest], "worker 2")
    at.take([sighting("a", came_ns=1, is_here=False, connections=0, takes=1)], "worker 1")
    told = shared._pending.news["a"]
    assert told.is_here
    assert (told.address, told.mode, told.firmware) == ("10.0.0.2:5", 3, "2.0")
    assert (told.connections, told.takes) == (2, 1)
    at.take([newest._replace(is_here=False, connections=0)], "worker 2")
    assert not shared._pending.news["a"].is_here


# -- bounds


def sighting(device_id: str, address: str = "10.0.0.1:5", **facts: object) -> Sighting:
    new = Sighting(device_id, 1.0, 1, True, address, 1, 0, 0, 0, None)
    return new._replace(**facts)  # type: ignore[arg-type]


def visit(at: Inventory, *device_ids: str, address: str = "10.0.0.1:5") -> None:
    for device_id in device_ids:
        at.take([sighting(device_id, address)])
        at.take([sighting(device_id, address, is_here=False, connections=0)])


def test_a_stranger_pushes_out_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "ENTRIES_MAX", 20)
    store = MemoryInventory()
    at = Inventory(store)
    ours = [f"ours-{number}" for number in range(8)]
    visit(at, *ours)
    visit(at, *(f"made-up-{number}" for number in range(1000)), address="10.6.6.6:1")
    assert len(store.entries) == 20
    assert set(ours) <= store.entries.keys()
    assert "made-up-999" in store.entries


async def test_names_tags_and_connections_are_kept_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inventory, "ENTRIES_MAX", 3)
    store = MemoryInventory()
    at = Inventory(store)
    visit(at, "named", "tagged", "seen-1")
    await at.rename("named", "Kitchen", is_known=True)
    await at.tag(["tagged"], ["x"], [], at.knows)
    at.take([sighting("here")])
    visit(at, "seen-2", "seen-3")
    assert store.entries.keys() == {"named", "tagged", "here"}
    at.take([sighting("here", is_here=False, connections=0)])
    await at.rename("named", None, is_known=True)
    visit(at, "seen-4")
    assert store.entries.keys() == {"tagged", "named", "seen-4"}


def test_entries_that_are_read_late_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "ENTRIES_MAX", 2)
    store = MemoryInventory()
    at = Inventory(store)
    store.entries = {f"old-{number}": Entry(1, number, None, 1, 0, 0, 0, None) for number in (1, 2)}
    visit(at, "new")
    assert store.entries.keys() == {"old-2", "new"}


# -- several processes


async def test_devices_of_workers_are_known_after_they_left(autojump_clock: MockClock) -> None:
    async with spread() as at, at.fleet.at_work():
        with at.connected(1, "a") as link, at.connected(2, "b", 2):
            await press(link, Button.MODE)
            await trio.sleep(2 * COLLECT_S)
            assert list(await at.fleet.away()) == []
            assert (await at.fleet.forget("b")) == IS_CONNECTED
        await trio.sleep(2 * COLLECT_S)
        rows = {row["id"]: row for row in await at.fleet.away()}
        assert {key: (row["mode"], row["connections"]) for key, row in rows.items()} == {
            "a": (1, 1),
            "b": (0, 1),
        }
        assert (await at.fleet.forget("a")).result == "done"
        await trio.sleep(2 * COLLECT_S)
        assert [row["id"] for row in await at.fleet.away()] == ["b"]
        assert await at.fleet.row("a") is None


async def test_a_device_that_connects_while_it_is_forgotten_stays_known(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with spread() as at, at.fleet.at_work():
        with at.connected(1, "a"):
            await trio.sleep(2 * COLLECT_S)
        await trio.sleep(2 * COLLECT_S)
        at.hub.store.put("a", 3)
        rows: Any = at.fleet._rows
        of = rows.of

        async def rows_late(device_ids: list[str]) -> Any:
            found = await of(device_ids)
            at.hub.claim(at.nodes[1], "a", at.hub.clock_ns())
            return found

        monkeypatch.setattr(rows, "of", rows_late)
        assert await at.fleet.forget("a") == IS_CONNECTED
        assert at.hub.store.get("a") == 3


async def test_what_a_worker_saw_is_not_lost_with_an_answer(autojump_clock: MockClock) -> None:
    async with spread() as at, at.fleet.at_work():
        with at.connected(1, "a"):
            await trio.sleep(2 * COLLECT_S)
            at.workers[1].go_on = trio.Event()  # it hangs, and the next answers come too late
            with at.connected(1, "b", 2):
                await trio.sleep(20)
                at.workers[1].go_on.set()
                await trio.sleep(20)
                rows = {row["id"]: row["connections"] for row in await at.fleet.rows()}
                assert rows == {"a": 1, "b": 1}


async def test_all_that_workers_saw_is_collected_before_they_end(
    autojump_clock: MockClock,
) -> None:
    async with spread() as at, at.fleet.at_work():
        with at.connected(1, "a") as link:
            await trio.sleep(2 * COLLECT_S)
            await press(link, Button.MODE, Button.PLAY)
            assert (await at.fleet.row("a") or {})["takes"] == 0
            await at.fleet.collect_all()
            assert (await at.fleet.row("a") or {})["takes"] == 1
            began = trio.current_time()
            at.workers[1].go_on = trio.Event()  # one that hangs is not waited for
            await at.fleet.collect_all()
            assert trio.current_time() - began <= 1
            at.workers[1].go_on.set()


async def test_sightings_that_are_asked_for_at_once_count_once(
    autojump_clock: MockClock,
) -> None:
    async with spread() as at:
        with at.connected(1, "a") as link:
            await press(link, Button.PLAY)
            async with trio.open_nursery() as nursery:
                for _ in range(5):
                    nursery.start_soon(at.fleet.collect_all)
            row = await at.fleet.row("a") or {}
            assert (row["connections"], row["takes"]) == (1, 1)


async def test_devices_of_a_worker_that_died_were_last_seen_then(
    autojump_clock: MockClock,
) -> None:
    async with spread() as at, at.fleet.at_work():
        with at.connected(1, "a"), at.connected(2, "b", 2):
            await trio.sleep(2 * COLLECT_S)
            at.kill(1)
            await trio.sleep(2 * COLLECT_S)
            (row,) = await at.fleet.away()
            assert (row["id"], row["connected"]) == ("a", False)
            assert row["last_seen"] == pytest.approx(time.time(), abs=5)
