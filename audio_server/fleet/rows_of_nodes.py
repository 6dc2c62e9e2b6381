"""Rows of the devices of all nodes: first their keys, of all nodes, then those that are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

import trio

from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.peers import NodeFacts
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Row
from audio_server.fleet.listing import Key, Keys, Page, Wanted, ordered
from audio_server.fleet.node_answers import NodeAnswers
from audio_server.fleet.nodes_around import Answers, NodesAround
from audio_server.fleet.recent_keys import Places
from audio_server.fleet.seek import SAMPLES, anchor_at

LIMIT = 500
"""Rows at a time, at most."""

BATCH = 1_000
"""Ids between two checkpoints."""

KEYS_S = 1.0
ROWS_S = 1.0
HOMES_S = 1.0
"""How old the list of living nodes may be."""


class KeysOfNodes(NamedTuple):
    """Merged keys, the nodes that know each device, and the names of nodes that are missing."""

    keys: Keys
    nodes: Mapping[str, list[str]]
    missing: Sequence[str]


class PageOfNodes(NamedTuple):
    """A page, the node of each of its rows, and the place of the first one in the whole list."""

    page: Page
    nodes: Mapping[str, str]
    offset: int = 0


class KeysAt(NamedTuple):
    """Keys, and the place of the first one in the whole list."""

    keys: KeysOfNodes
    offset: int


class RowsOfNodes:
    """Rows of the node's `own` fleet and of the others; each names its node."""

    def __init__(
        self,
        own: Fleet,
        nodes: NodesAround,
        answers: NodeAnswers,
        facts: Callable[[], NodeFacts],
    ) -> None:
        self._own = own
        self._nodes = nodes
        self._answers = answers
        self._facts = facts

    async def counts(self) -> dict[str, int]:
        """Return how many devices there are, of the heartbeats of all nodes."""
        around = await self._nodes.peers.around(KEYS_S)
        told = [self._facts(), *around.living.values()]
        return {
            "connected": sum(one.devices for one in told),
            "playing": sum(one.playing for one in told),
            "failing": sum(one.failing for one in told),
            "nodes": len(told),
        }

    async def keys(self, wanted: Wanted, max_age_s: float = 0.0) -> KeysOfNodes:
        """Return the first keys of all nodes that answer."""
        recent = bool(max_age_s)

        async def here() -> list[Any]:
            return [await self._answers.keys(wanted, recent=recent)]

        answers = await self._ask("keys", here, wanted, max_age_s, recent=recent)
        merged = _merged(answers.parts, wanted)
        return KeysOfNodes(*merged, tuple(sorted(answers.missing)))

    async def ids(self, wanted: Wanted) -> tuple[list[str], Sequence[str]]:
        """Return the ids of all devices that match, or a few more than `wanted.limit`, and the
        names of missing nodes."""

        async def here() -> list[Any]:
            return [await self._answers.keys(wanted)]

        answers = await self._ask("keys", here, wanted, 0.0, recent=False)
        ids: dict[str, None] = {}
        for keys, _ in answers.all():
            for start in range(0, len(keys), BATCH):
                ids.update((device_id, None) for _, device_id in keys[start : start + BATCH])
                await trio.lowlevel.checkpoint()
        return list(ids), answers.missing

    async def keys_at(self, wanted: Wanted, offset: int, max_age_s: float) -> KeysAt:
        """Return keys from a place of the whole list on, as they were a moment ago."""

        async def places() -> list[Any]:
            return [await self._answers.places(wanted, SAMPLES)]

        told = await self._ask("places", places, wanted, max_age_s, count=SAMPLES)
        found = {node: Places(*parts[0]) for node, parts in told.parts.items() if parts}
        offset = min(offset, max(0, sum(one.found for one in found.values()) - 1))
        anchor = anchor_at(offset, found, wanted)
        more = wanted._replace(after=anchor.after, limit=anchor.most + (wanted.limit or LIMIT))

        async def here() -> list[Any]:
            return [await self._answers.keys_from(more)]

        answers = await self._ask("keys_from", here, more, max_age_s)
        before = sum(part[2] for part in answers.all())
        parts = {node: [part[:2] for part in some] for node, some in answers.parts.items()}
        (keys, count), nodes = _merged(parts, more)
        start = max(0, offset - before)
        cut = keys[start : start + (wanted.limit or LIMIT)]
        missing = tuple(sorted({*told.missing, *answers.missing}))
        return KeysAt(KeysOfNodes(Keys(cut, count), nodes, missing), before + start)

    async def _ask(
        self,
        what: str,
        here: Callable[[], Awaitable[list[Any]]],
        wanted: Wanted,
        max_age_s: float,
        **facts: Any,
    ) -> Answers:
        """Ask all nodes that may have some; this one knows all that are away, unless it cannot."""
        of_others = wanted
        if wanted.includes_away and self._own.labels.share_devices:  # they are known here
            of_others = wanted._replace(state="connected")
        if of_others is not wanted and not wanted.includes_connected:
            missing = (await self._nodes.peers.around(max_age_s)).missing
            return Answers({self._nodes.node: await here()}, list(missing))
        return await self._nodes.ask_all(
            what, KEYS_S, here, max_age_s=max_age_s, wanted=of_others, **facts
        )

    async def page(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted, `LIMIT` at most."""
        return (await self.page_of_nodes(wanted)).page

    async def page_of_nodes(
        self, wanted: Wanted, max_age_s: float = 0.0, offset: int = 0
    ) -> PageOfNodes:
        """Return the rows that are wanted, from a place of the list on, and their nodes. With
        `max_age_s` rows are chosen as they were a moment ago, and so they are with an `offset`."""
        limit = min(wanted.limit or LIMIT, LIMIT)
        more = wanted._replace(limit=limit + 1)  # the last one tells whether others follow
        if offset:
            told, offset = await self.keys_at(more, offset, max_age_s)
        else:
            told = await self.keys(more, max_age_s)
        (keys, found), nodes, missing = told
        cut = keys[:limit]
        if wanted.includes_away:
            nodes = await self._with_homes([device_id for _, device_id in cut], nodes)
        rows, not_told = await self._read({one: nodes[one] for _, one in cut})
        if wanted.state != "all":  # some have come or gone since their nodes made the keys
            is_here = wanted.includes_connected
            rows = {key: told for key, told in rows.items() if told[1]["connected"] is is_here}
        last = cut[-1] if len(keys) > limit else None
        all_missing = tuple(sorted({*missing, *not_told}))
        shown = [rows[device_id][1] for _, device_id in cut if device_id in rows]
        page = Page(shown, found, last, all_missing)
        return PageOfNodes(page, {key: node for key, (node, _) in rows.items()}, offset)

    async def _with_homes(
        self, device_ids: Sequence[str], nodes: Mapping[str, list[str]]
    ) -> Mapping[str, list[str]]:
        """Have the node asked to which a device is connected, rather than one that it has left."""
        try:
            homes = await self._homes(device_ids)
        except ClusterDown:
            return nodes
        return {**nodes, **{device_id: [home] for device_id, home in homes.items()}}

    async def _homes(self, device_ids: Sequence[str]) -> Mapping[str, str]:
        """Return the node of each device that is connected to one which lives. Raises
        `ClusterDown`."""
        homes = await self._nodes.peers.homes(device_ids)
        living = (await self._nodes.peers.around(HOMES_S)).living
        own = self._nodes.node
        return {key: home for key, home in homes.items() if home == own or home in living}

    async def of(self, device_ids: Sequence[str]) -> tuple[list[Row], Sequence[str]]:
        """Return the rows of some devices, also of those that are away, and which nodes that may
        have others are missing."""
        own = self._nodes.node
        missing: Sequence[str] = ()
        try:
            homes = await self._homes(device_ids)
        except ClusterDown:
            homes = {}
            missing = (await self._nodes.peers.around()).missing
        unknown = [one for one in device_ids if one not in homes]
        nodes = {one: [homes[one]] for one in device_ids if one in homes}
        if unknown:  # away, or nowhere: whoever has seen them last
            around = await self._nodes.peers.around()
            missing = around.missing
            nodes |= {one: [own, *around.living] for one in unknown}
        rows, not_told = await self._read(nodes)
        found = [rows[one][1] for one in device_ids if one in rows]
        return found, tuple(sorted({*missing, *not_told}))

    async def _read(
        self, nodes: Mapping[str, Sequence[str]]
    ) -> tuple[dict[str, tuple[str, Row]], Sequence[str]]:
        """Return the node and the row of each device, of those of its nodes that answer the one
        that saw it last."""
        ids: dict[str, list[str]] = {}
        for device_id, holders in nodes.items():
            for node in holders:
                ids.setdefault(node, []).append(device_id)
        told: dict[str, tuple[str, Row]] = {}

        def take(node: str, row: Row) -> None:
            last = told.get(row["id"])
            if last is None or _seen_at(last[1]) <= _seen_at(row):
                name = self._nodes.peers.name_of(node) if node != own else self._facts().name
                if not row["connected"]:
                    name = row["node"] or name  # where it was seen last
                told[row["id"]] = node, {**row, "node": name}

        own = self._nodes.node
        others = {node: {"device_ids": some} for node, some in ids.items() if node != own}
        answers = await self._nodes.ask_some("rows", ROWS_S, others)
        for node, parts in answers.parts.items():
            for row in (row for part in parts for row in part):
                take(node, row)
        for row in await self._own.rows_of(ids.get(own, ())):
            take(own, row)
        return told, answers.missing

    async def own_rows(self, device_ids: Sequence[str]) -> list[Row]:
        """Return rows of the node itself."""
        name = self._facts().name
        return [{**row, "node": name} for row in await self._own.rows_of(device_ids)]

    @property
    def nodes(self) -> NodesAround:
        """The nodes that are asked."""
        return self._nodes


def _merged(
    parts: Mapping[str, Sequence[tuple[Sequence[Key], int]]], wanted: Wanted
) -> tuple[Keys, Mapping[str, list[str]]]:
    """Return the first keys of all nodes, and the nodes that know each device."""
    nodes: dict[str, list[str]] = {}
    keys: list[Key] = []
    found = 0
    for node, some in parts.items():
        for told, count in some:
            found += count
            for value, device_id in told:
                keys.append((value, device_id))
                nodes.setdefault(device_id, []).append(node)
    return Keys(ordered(keys, wanted)[: wanted.limit], found), nodes


def _seen_at(row: Row) -> tuple[bool, float]:
    return row["connected"], row["since"] if row["connected"] else row["last_seen"] or 0.0
