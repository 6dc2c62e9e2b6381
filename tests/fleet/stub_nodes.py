"""Nodes whose devices are rows: a hundred thousand on twenty."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import msgspec
import trio
from node_stand import Between

from audio_server.cluster.peers import NodeFacts
from audio_server.fleet.interface import Row
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.listing import Key, Wanted, key_of, keys_of, ordered

NODES, DEVICES = 20, 5_000

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
        answer = getattr(self, f"_{question.what}", None)
        if answer is None:
            question.refuse()
            return
        for part in await answer(**question.facts):
            self.told += len(msgspec.msgpack.encode(part))
            question.add(part)
        question.end(is_answered=True)

    async def _keys(self, wanted: Any, recent: bool) -> list[Any]:
        wanted = msgspec.convert(wanted, Wanted)
        if wanted.q:  # twenty nodes share one core here: few rows are worth a look
            last = wanted.q.rpartition(" ")[2]
            likely = [row for row in self.rows.values() if row["id"].endswith(last)]
            return [await keys_of(likely, wanted)]
        keys = self._following(wanted)
        return [(keys[: wanted.limit], len(self.rows))]

    def _following(self, wanted: Wanted) -> list[Key]:
        """The keys from the one after `wanted.after` on; none is without a value."""
        keys = self.keys[wanted.sort]
        if wanted.backwards:
            return ordered(keys, wanted)
        return keys if wanted.after is None else keys[bisect_right(keys, wanted.after) :]

    async def _places(self, wanted: Any, count: int) -> list[Any]:
        keys = self.keys[msgspec.convert(wanted, Wanted).sort]
        places = range(0, len(keys), len(keys) // count)
        return [(len(keys), [keys[place] for place in places], list(places))]

    async def _keys_from(self, wanted: Any) -> list[Any]:
        wanted = msgspec.convert(wanted, Wanted)
        keys = self._following(wanted)
        return [(keys[: wanted.limit], DEVICES, DEVICES - len(keys))]

    async def _rows(self, device_ids: list[str]) -> list[Any]:
        return [[self.rows[one] for one in device_ids]]

    async def _follow(self, device_ids: list[str], for_s: float) -> list[Any]:
        await trio.sleep(for_s / 4)
        news = [{**self.rows[one], "mode": 4} for one in device_ids]
        self.rows |= {row["id"]: row for row in news}
        return [news]
