"""A hundred thousand devices on twenty nodes, of which no browser and no node gets all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from asgi import ask
from fleet_kit import next_event
from node_stand import Between, NodeStand
from starlette.types import ASGIApp

from audio_server.clips.repository import Repository
from audio_server.cluster.away import Away
from audio_server.cluster.inventory import SharedInventory
from audio_server.cluster.peers import NodeFacts
from audio_server.device.entry import Entry
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Row
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.listing import Key, Wanted, key_of, keys_of, ordered
from audio_server.settings import Settings
from audio_server.web.access import Admitted
from audio_server.web.app import make_app
from audio_server.web.context import Context

NODES, DEVICES = 20, 5_000

MOST_BYTES = 1_000_000
MOST_S = 1.0
"""Of CPU: the machine may have other work."""

NOWHERE = Path("nowhere")

BLANK = Inventory().row("")


class StubNode:
    """Devices that are rows. It answers as a node does that has done its part already: the first
    keys are ready in two orders."""

    def __init__(self, between: Between, number: int) -> None:
        self.name = f"node-{number}:50051"
        self.rows: dict[str, Row] = {}
        for place in range(DEVICES):
            device_id = f"device-{place * NODES + number:06}"
            name = f"Room {place * NODES + number}" if place % 2 else None
            facts = {"connected": True, "since": 1.0, "last_seen": None, "mode": place % 5}
            self.rows[device_id] = {**BLANK, "id": device_id, "name": name, **facts}
        self.keys: dict[str, list[Key]] = {
            sort: ordered((key_of(row, sort) for row in self.rows.values()), Wanted())  # type: ignore[arg-type]
            for sort in ("id", "name")
        }
        self.told = 0
        between.nodes[f"node{number}"] = self

    def has(self, device_id: str) -> bool:
        return device_id in self.rows

    def facts(self) -> NodeFacts:
        return NodeFacts(self.name, len(self.rows), 100, 1)

    def asked(self, question: Any) -> None:
        trio.lowlevel.spawn_system_task(self._answer, question)

    async def _answer(self, question: Any) -> None:
        for part in await getattr(self, f"_{question.what}")(**question.facts):
            self.told += len(msgspec.msgpack.encode(part))
            question.add(part)
        question.end(is_answered=True)

    async def _keys(self, wanted: Any, recent: bool) -> list[Any]:
        wanted = msgspec.convert(wanted, Wanted)
        if wanted.q:  # twenty nodes share one core here: few rows are worth a look
            last = wanted.q.rpartition(" ")[2]
            likely = [row for row in self.rows.values() if row["id"].endswith(last)]
            return [await keys_of(likely, wanted)]
        keys = self.keys[wanted.sort]
        if wanted.after is not None:
            keys = ordered(keys, wanted)
        return [(keys[: wanted.limit], len(self.rows))]

    async def _rows(self, device_ids: list[str]) -> list[Any]:
        return [[self.rows[one] for one in device_ids]]

    async def _follow(self, device_ids: list[str], for_s: float) -> list[Any]:
        await trio.sleep(for_s / 4)
        news = [{**self.rows[one], "mode": 4} for one in device_ids]
        self.rows |= {row["id"]: row for row in news}
        return [news]


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    between = Between()
    for number in range(NODES):
        StubNode(between, number)
    async with trio.open_nursery() as nursery:
        await nursery.start(NodeStand(between, "own").run)
        yield between.nodes["own"].fleet
        nursery.cancel_scope.cancel()


def app_of(fleet: Fleet) -> ASGIApp:
    context = Context(Settings(), 1, Repository(NOWHERE, NOWHERE, []), fleet, trio.Event(), str)
    return make_app(context, Admitted(loopback=True))


async def test_a_list_comes_page_by_page(fleet: Fleet) -> None:
    app, seen, query = app_of(fleet), [], ""
    for number in range(5):
        began = time.process_time()
        answer = await ask(app, "GET", f"/api/devices{query}")
        assert time.process_time() - began < MOST_S
        assert len(answer.body) < MOST_BYTES
        told = answer.json
        assert (len(told["rows"]), told["found"]) == (500, NODES * DEVICES)
        seen += [row["id"] for row in told["rows"]]
        query = f"?cursor={told['next']}"
        assert len(seen) == 500 * (number + 1)
    assert seen == [f"device-{number:06}" for number in range(2_500)]


async def test_a_list_is_sorted_and_searched_over_all_nodes(fleet: Fleet) -> None:
    app = app_of(fleet)
    answer = await ask(app, "GET", "/api/devices?sort=name&limit=3")
    assert [row["id"] for row in answer.json["rows"]] == [
        "device-000000", "device-000001", "device-000002",
    ]  # fmt: skip
    answer = await ask(app, "GET", f"/api/devices?sort=name&limit=3&cursor={answer.json['next']}")
    assert [row["id"] for row in answer.json["rows"]] == [
        "device-000003", "device-000004", "device-000005",
    ]  # fmt: skip
    answer = await ask(app, "GET", "/api/devices?q=room+99999")
    assert [row["id"] for row in answer.json["rows"]] == ["device-099999"]
    assert answer.json["found"] == 1
    wrong = await ask(app, "GET", "/api/devices?sort=name&cursor=device-000003")
    assert wrong.status == 400


async def test_a_page_gets_the_first_ones_and_their_changes(fleet: Fleet) -> None:
    app = app_of(fleet)
    whole = len((await ask(app, "GET", "/")).body)
    began = time.process_time()
    with fleet.watching(Wanted(sort="name")) as events:
        data = await events.receive()
        assert time.process_time() - began < MOST_S
        assert whole + len(data) < MOST_BYTES
        assert data.startswith(b"event: all\n")
        told = msgspec.json.decode(data.partition(b"data: ")[2])
        assert len(told["rows"]) == 500
        assert (told["found"], told["limit"]) == (NODES * DEVICES, 500)
        assert told["counts"] == {
            "connected": NODES * DEVICES,
            "playing": NODES * 100,
            "failing": NODES,
            "nodes": NODES + 1,
        }
        changed: set[str] = set()
        size = 0
        while len(changed) < 400:  # all but those that were in mode 4
            name, told = await next_event(events)
            size += len(msgspec.json.encode(told))
            assert name == "changes"
            changed |= {row["id"] for row in told["rows"]}
        assert size < MOST_BYTES


KNOWN = 10_000


class KnownAway(SharedInventory):
    """Devices that are away, as the node has read them."""

    is_up = True

    def __init__(self) -> None:
        super().__init__()
        entry = Entry(1.0, 2.0, "10.0.0.7:51234", 3, 2, 1, 4, None)
        for number in range(KNOWN):
            self.away[f"away-{number:05}"] = Away(entry, f"node-{number % 30}:50051")

    async def refresh(self) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    async def unseen(self, device_ids: Iterable[str]) -> list[str]:
        return []


async def test_lists_with_many_that_are_away_are_exact_and_small() -> None:
    between = Between()
    for number in range(NODES):
        StubNode(between, number)
    async with trio.open_nursery() as nursery:
        await nursery.start(NodeStand(between, "own", KnownAway()).run)
        app = app_of(between.nodes["own"].fleet)
        for state, found in (("offline", KNOWN), ("all", KNOWN + NODES * DEVICES)):
            began, between.asked = time.process_time(), []
            answer = await ask(app, "GET", f"/api/devices?state={state}&sort=name")
            assert time.process_time() - began < MOST_S
            assert len(answer.body) < MOST_BYTES
            assert (len(answer.json["rows"]), answer.json["found"]) == (500, found)
            assert answer.json["rows"][3]["node"] == "node-3:50051"
            is_asked = any(what == "keys" for _, what in between.asked)
            assert is_asked is (state == "all")
            query = f"state={state}&sort=name&limit=500&cursor={answer.json['next']}"
            answer = await ask(app, "GET", f"/api/devices?{query}")
            assert answer.json["rows"][0]["id"] == "away-00500"
        nursery.cancel_scope.cancel()
