"""A hundred thousand devices on twenty nodes, of which no browser and no node gets all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec
import pytest
import trio
from asgi import ask
from fleet_kit import next_event
from node_stand import Between, NodeStand
from starlette.types import ASGIApp
from stub_nodes import DEVICES, NODES, StubNode

from audio_server.clips.repository import Repository
from audio_server.cluster.away import Away
from audio_server.cluster.inventory import SharedInventory
from audio_server.device.entry import Entry
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Outcome
from audio_server.fleet.listing import Wanted, ordered
from audio_server.settings import Settings
from audio_server.web.access import Admitted
from audio_server.web.app import make_app
from audio_server.web.context import Context

MOST_BYTES = 1_000_000
MOST_S = 1.0
"""Of CPU: the machine may have other work."""

NOWHERE = Path("nowhere")


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


async def test_an_action_is_for_all_that_match(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    async def stop(device_ids: list[str]) -> dict[str, Outcome]:
        asked.append(device_ids)
        return dict.fromkeys(device_ids, Outcome("done"))

    monkeypatch.setattr(fleet, "stop", stop)
    app = app_of(fleet)
    for match, count in (({"state": "connected"}, NODES * DEVICES), ({"q": "99999"}, 1)):
        answer = await ask(app, "POST", "/api/stop", {"devices": {"match": match}})
        assert answer.json["done"] == count == len(set(asked.pop()))
    for devices in ({"match": {}, "tag": "a"}, {}):
        answer = await ask(app, "POST", "/api/stop", {"devices": devices})
        assert answer.status == 422


async def test_a_window_begins_anywhere(fleet: Fleet) -> None:
    for sort in ("id", "name"):
        wanted = Wanted(sort=sort, limit=60)  # type: ignore[arg-type]
        everything = ordered((key for node in stubs(fleet) for key in node.keys[sort]), wanted)
        for offset in (1, 499, 33_333, NODES * DEVICES - 5, 10**9):
            before = sum(node.told for node in stubs(fleet))
            began = time.process_time()
            with fleet.watching(wanted, offset) as events:
                data = await events.receive()
            took_s = time.process_time() - began
            told = msgspec.json.decode(data.partition(b"data: ")[2])
            place = min(offset, NODES * DEVICES - 1)
            assert (told["offset"], told["found"]) == (place, NODES * DEVICES)
            assert told["ids"] == [device_id for _, device_id in everything[place : place + 60]]
            assert [row["id"] for row in told["rows"]] == told["ids"]
            assert took_s < MOST_S
            assert sum(node.told for node in stubs(fleet)) - before < 1_500_000
            assert len(data) < MOST_BYTES


def stubs(fleet: Fleet) -> list[StubNode]:
    between = fleet._rows._nodes.peers.between  # type: ignore[attr-defined]
    return [node for node in between.nodes.values() if isinstance(node, StubNode)]


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
