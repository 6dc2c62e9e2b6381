"""Devices that are away, as all nodes of an engine have them, whatever becomes of the nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from engine import EngineProcess
from members import PATIENCE_S, Member, open_road, until
from peer_stand import Peer

from audio_server.clips.clip import Clip
from audio_server.cluster import inventory, peers
from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.inventory import SharedInventory
from audio_server.cluster.sightings import Seen
from audio_server.device.behaviour import Action, Button, Rules
from audio_server.device.entry import Entry
from audio_server.device.registry import Devices
from audio_server.fleet import own_rows
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.inventory_store import MemoryInventory
from audio_server.fleet.listing import Page, Wanted
from audio_server.fleet.of_nodes import fleet_of_nodes
from audio_server.fleet.own_rows import own_fleet

CLIPS = [Clip.from_packets(f"clip {mode}", [b"\xf8\xff\xfe"] * 5) for mode in range(5)]
PEER = "10.0.0.7:51234"


class Node:
    """A node of one process, with devices."""

    def __init__(self, at: Peer, store: MemoryInventory) -> None:
        self.at = at
        self.devices = Devices(CLIPS, Rules(len(CLIPS)), 0.3)
        self.shared: SharedInventory = at.member.inventory
        self.shared.name = at.facts.name
        self.own = own_fleet(DevicesHere(self.devices), store, at.member.records, self.shared)
        self.fleet = fleet_of_nodes(self.own, at.nodes, lambda: at.facts)

    @asynccontextmanager
    async def connected(self, device_id: str, *presses: Button) -> AsyncIterator[None]:
        """A device for the block, which presses these buttons."""
        cluster = self.at.member.cluster
        await cluster.claim(device_id, 0.0)
        try:
            with self.devices.attach_events(device_id, 1, None, PEER) as link:
                for button in presses:
                    await link.press(button, Action.PRESS)
                yield
        finally:
            cluster.release(device_id)

    async def visit(self, *device_ids: str) -> None:
        """Have devices connect and go, and be away in the engine."""
        for device_id in device_ids:
            async with self.connected(device_id):
                pass
        await self.wait_told()

    async def wait_told(self) -> None:
        """Return when the engine has been told of all devices."""
        await trio.sleep(2 * own_rows.COLLECT_S)
        await until(lambda: not any(at <= trio.current_time() for at in self._due))
        await trio.sleep(2 * inventory.FLUSH_S)

    async def wait_collected(self) -> None:
        """Return when the inventory of the node has been told."""
        await trio.sleep(3 * own_rows.COLLECT_S)

    @property
    def _due(self) -> Iterator[float]:
        return iter(self.shared._pending.due_at.values())

    async def away(self, **wanted: Any) -> Page:
        return await self.fleet.listed(Wanted(state="offline", **wanted))

    async def until_away(self, *device_ids: str) -> Page:
        """Return the list once it has these devices, and every node answers."""
        with trio.fail_after(PATIENCE_S):
            while True:
                page = await self.away()
                if [row["id"] for row in page.rows] == [*device_ids] and not page.missing:
                    return page
                await trio.sleep(0.02)


@asynccontextmanager
async def node(url: str, name: str, store: MemoryInventory | None = None) -> AsyncIterator[Node]:
    at = Peer(member := Member(url), url, name, None)
    stand = Node(at, store or MemoryInventory())
    answers = stand.fleet._rows._answers
    at.answer = answers.asked  # type: ignore[assignment]
    async with (
        member.cluster.joined(member.listener()),
        at.nodes.joined(at.asked),
        stand.own.at_work(),
        answers.at_work(),
        trio.open_nursery() as nursery,
    ):
        await nursery.start(stand.devices.run)
        nursery.start_soon(stand.own.run)
        await until(lambda: stand.shared.is_up and at.nodes.is_up.value)
        yield stand
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_rows, "COLLECT_S", 0.05)
    monkeypatch.setattr(inventory, "FLUSH_S", 0.05)
    monkeypatch.setattr(inventory, "ALIVE_S", 0.2)
    monkeypatch.setattr(inventory, "FRESH_S", 0.0)


# -- what all nodes see


async def test_a_device_is_away_once_with_the_newest_facts_and_all_counts(
    engine: EngineProcess,
) -> None:
    async with node(engine.url, "a:1") as a, node(engine.url, "b:2") as b:
        for at in (a, b, a, b):
            async with at.connected("x", Button.MODE, Button.PLAY):
                await at.wait_told()
                for other in (a, b):
                    assert (await other.away()).rows == []
            await at.wait_told()
        for at in (a, b):
            page = await at.away()
            assert (page.found, page.missing) == (1, ())
            (row,) = page.rows
            assert (row["id"], row["connected"], row["node"]) == ("x", False, "b:2")
            assert (row["connections"], row["takes"]) == (4, 4)
            assert (row["mode"], row["address"]) == (2, PEER)  # two presses at each node
            assert row == await at.fleet.row("x")
        async with a.connected("x"):
            row = await b.fleet.rows_of(["x"])
            await a.wait_told()
            (row,) = await a.own.rows_of(["x"])
            assert (row["connections"], row["takes"]) == (5, 4)
            assert [one["id"] for one in (await b.fleet.listed(Wanted("all"))).rows] != ["x", "x"]


async def test_it_is_still_known_after_its_node_is_gone_for_good(engine: EngineProcess) -> None:
    async with node(engine.url, "b:2") as b:
        async with (
            open_road(engine.port) as road,
            node(f"redis://127.0.0.1:{road.port}", "a:1") as a,
        ):
            await a.visit("before")
            async with a.connected("cut"), a.connected("moves"):
                await a.wait_told()
                road.cut()
                async with b.connected("moves"):
                    await b.wait_told()
                    assert (await b.away()).rows[0]["id"] == "before"
                    for key in ("as:nodes", "as:at"):  # more than a minute ago
                        engine.ask("ZADD", key, 1_000_000, a.at.id)
                    engine.ask("ZREM", "as:nodes", a.at.id)
                    page = await b.until_away("before", "cut")
                    assert [row["node"] for row in page.rows] == ["a:1", "a:1"]
                    road.heal()  # it was taken for lost, and is not
                    await b.until_away("before")
        async with node(engine.url, "c:3") as c:
            await c.until_away("before", "cut", "moves")


async def test_a_list_goes_on_over_pages(engine: EngineProcess) -> None:
    ids = [f"d{number:02}" for number in range(20)]
    async with node(engine.url, "a:1") as a, node(engine.url, "b:2") as b:
        await a.visit(*ids[::2])
        await b.visit(*ids[1::2])
        async with b.connected("d05"):
            await b.wait_told()
            for at in (a, b):
                seen: list[str] = []
                page = await at.away(limit=6)
                while True:
                    assert page.found == 19
                    seen += [row["id"] for row in page.rows]
                    if page.last is None:
                        break
                    page = await at.away(limit=6, after=page.last)
                assert seen == [one for one in ids if one != "d05"]
            assert (await a.fleet.listed(Wanted("all"))).found == 20


# -- forgotten


async def test_forgetting_reaches_all_nodes_and_one_that_was_cut_off(
    engine: EngineProcess,
) -> None:
    store = MemoryInventory()
    async with (
        node(engine.url, "a:1") as a,
        open_road(engine.port) as road,
        node(f"redis://127.0.0.1:{road.port}", "b:2", store) as b,
    ):
        await b.visit("x", "y")
        await a.until_away("x", "y")
        road.cut()
        await b.at.member.wait_up(False)
        async with b.connected("x"):  # the engine hears nothing of it
            pass
        await b.wait_collected()
        assert (await a.fleet.forget("x")).result == "done"
        assert [row["id"] for row in (await a.away()).rows] == ["y"]
        page = await b.away()
        assert [row["id"] for row in page.rows] == ["x", "y"]  # its own, and it says so
        assert peers.UNKNOWN_NODES in page.missing
        road.heal()
        for at in (a, b):
            await at.until_away("y")
        await until(lambda: "x" not in store.entries)
        assert engine.ask("EXISTS", "as:s:x") == 0
        assert await b.fleet.row("x") is None
    old = Entry(1.0, 2e9, None, 1, 0, 0, 0, None)  # seen since the inventory began
    async with node(engine.url, "b:2", store := holding(x=old, z=old._replace(last_seen=1.0))) as b:
        await b.until_away("y", "z")
        assert store.entries.keys() == {"z"}


async def test_a_sighting_from_before_it_was_forgotten_is_dropped(engine: EngineProcess) -> None:
    async with node(engine.url, "a:1") as a, node(engine.url, "b:2") as b:
        await a.visit("x")
        await a.until_away("x")
        assert (await a.fleet.forget("x")).result == "done"
        seen = Seen("x", 0.0, False, PEER, 1, 0, 0, 0, None, None)
        b.shared.saw(seen, 5.0)
        await b.wait_told()
        assert engine.ask("EXISTS", "as:s:x") == 0
        b.shared.saw(seen, 0.0)
        await b.wait_told()
        assert engine.ask("EXISTS", "as:s:x") == 1


async def test_a_device_that_connects_is_not_forgotten(engine: EngineProcess) -> None:
    async with node(engine.url, "a:1") as a, node(engine.url, "b:2") as b:
        await a.visit("x")
        async with b.connected("x"):  # neither node nor inventory knows more yet
            assert (await a.fleet.forget("x")).result == "failed"
        await b.wait_told()
        await a.until_away("x")
        assert (await a.fleet.forget("x")).result == "done"
        async with b.connected("x"):
            await b.wait_told()
        await b.wait_told()
        row = (await a.until_away("x")).rows[0]
        assert row["connections"] == 1


# -- bounds and losses


async def test_ids_of_a_stranger_give_way(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "AWAY_MAX", 20)
    monkeypatch.setattr(inventory, "GIVEN_UP", 2)
    async with node(engine.url, "a:1") as a:
        await a.visit("mine")
        await a.fleet.rename("mine", "Küche")
        for start in range(0, 100, 10):
            await a.visit(*(f"made-up-{number}" for number in range(start, start + 10)))
        await until(lambda: engine.ask("ZCOUNT", "as:away", "-inf", "+inf") > 90)
        await a.wait_told()
        page = await a.away()
        assert page.found <= 21
        assert page.rows[-1]["id"] == "mine"
        assert len(engine.ask("KEYS", "as:s:*")) == page.found
        assert engine.ask("SCARD", f"as:at:{a.at.id}") == 0


async def test_an_engine_that_lost_all_is_told_again(engine: EngineProcess) -> None:
    async with (
        open_road(engine.port) as road,
        node(f"redis://127.0.0.1:{road.port}", "b:2") as b,
    ):
        async with node(engine.url, "a:1") as a:
            await a.visit("x")
            await b.visit("y")
            await b.until_away("x", "y")
        async with b.connected("here"):
            await b.wait_told()
            road.cut()
            await b.at.member.wait_up(False)
            engine.ask("FLUSHALL")
            road.heal()
            page = await b.until_away("x", "y")
            assert [row["node"] for row in page.rows] == ["a:1", "b:2"]
            await until(lambda: engine.ask("HGET", "as:s:here", "h") == b.at.id)


class Deaf:
    """A session that hears no answers."""

    def __init__(self, session: Any) -> None:
        self._session = session

    async def ask(self, hear: Any, *words: Any) -> None:
        await self._session.ask(lambda answer: None, *words)
        hear(ClusterDown())


async def test_a_sighting_counts_once_whose_answer_was_lost(engine: EngineProcess) -> None:
    async with node(engine.url, "a:1") as a:
        await a.visit("x")
        takes = Seen("x", 0.0, False, PEER, 0, 3, 1, 0, None, None)
        a.shared.saw(takes, 0.0)
        await a.shared._flush(Deaf(a.shared._session))  # type: ignore[arg-type]
        a.shared.saw(takes._replace(takes=2), 0.0)
        assert a.shared.own_away() == ["x"]
        await a.wait_told()
        await until(lambda: a.shared.away["x"].entry.takes >= 5)
        (row,) = (await a.until_away("x")).rows
        assert (row["connections"], row["takes"], row["errors_ever"]) == (1, 5, 2)


async def test_an_engine_that_lost_an_end_is_told_again(engine: EngineProcess) -> None:
    async with (
        open_road(engine.port) as road,
        node(f"redis://127.0.0.1:{road.port}", "b:2") as b,
        b.connected("stays"),
    ):
        await b.visit("x")
        road.cut()
        await b.at.member.wait_up(False)
        engine.ask("HSET", "as:s:x", "h", b.at.id)  # as before its end
        engine.ask("SADD", f"as:at:{b.at.id}", "x")
        engine.ask("ZREM", "as:away", "x")
        road.heal()
        (row,) = (await b.until_away("x")).rows
        assert (row["connections"], row["node"], row["mode"]) == (1, "b:2", 0)


async def test_a_clock_that_is_set_back_hides_no_device(engine: EngineProcess) -> None:
    future = 4_000_000_000_000_000
    async with node(engine.url, "a:1") as a, node(engine.url, "b:2") as b:
        await a.visit("forgotten", "seen")
        await a.until_away("forgotten", "seen")
        await a.fleet.forget("forgotten")
        for key in ("as:away", "as:away:marks"):
            engine.ask("ZADD", key, future, "forgotten")
        engine.ask("SET", "as:away:last", future)
        engine.ask("HSET", "as:s:seen", "l", future)
        async with b.connected("forgotten"), b.connected("seen", Button.MODE):
            await b.wait_told()
        await until(lambda: b.shared.node_of("seen") == b.shared.node_of("forgotten") == "b:2")
        for row in (await a.until_away("forgotten", "seen")).rows:
            assert row["last_seen"] < future / 1e6


def holding(**entries: Entry) -> MemoryInventory:
    store = MemoryInventory()
    for device_id, entry in entries.items():
        store.put_entry(device_id, entry)
    return store
