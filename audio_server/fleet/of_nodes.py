"""The fleet of all nodes of a cluster, as each of them has it.

The node's own fleet is asked without the cluster, so that it works while that is away. Other nodes
are asked for rows and events only while somebody wants them, and no list of all is made anywhere.
A node without an answer delays the others until the deadline at most, and is named as missing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from hashlib import sha256
from random import randrange
from typing import Any, NoReturn

import trio

from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.peers import NodeFacts, Peers
from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Button
from audio_server.fleet.announcements import Order, Report, Reports
from audio_server.fleet.event_numbers import PROCESSES, in_order
from audio_server.fleet.events_of_nodes import EventsOfNodes
from audio_server.fleet.history import KEPT, LATEST
from audio_server.fleet.interface import (
    GONE,
    Event,
    NotReached,
    Outcome,
    Outcomes,
    OutcomesOfNodes,
    Row,
    TagListener,
)
from audio_server.fleet.judging import Begun
from audio_server.fleet.listing import Keys, Page, Wanted
from audio_server.fleet.node_answers import NodeAnswers
from audio_server.fleet.nodes_around import NodesAround
from audio_server.fleet.own_fleet import OwnFleet
from audio_server.fleet.rows_of_nodes import LIMIT, RowsOfNodes
from audio_server.fleet.windows import Windows
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

ROWS_S = 2.0

NUMBERS_S = 0.2
"""Pause between two attempts to have numbers for events."""

ACT_S = 5.0
"""How long a node may take to do something to all its devices."""

NO_CLUSTER = Outcome("failed", "the cluster cannot be reached, and it is not at this node")


class FleetOfNodes:
    """A `Fleet` over the node's `own` and those of its `peers`; `facts` are those of its own
    heartbeat, and it has so many `processes`. The others are answered while it is `at_work`."""

    def __init__(
        self, own: OwnFleet, peers: Peers, facts: Callable[[], NodeFacts], processes: int = 1
    ) -> None:
        self.numbers = own.numbers
        self._own = own
        self._peers = peers
        self._answers = answers = NodeAnswers(own, peers.offered)
        self._nodes = NodesAround(peers)
        self._begun = Begun()
        self._rows = RowsOfNodes(own, self._nodes, answers, facts)
        self._windows = Windows(self._rows)
        self._events = EventsOfNodes(own, self._nodes)
        self._processes = processes
        self.numbers.first = randrange(PROCESSES)  # until the cluster says another one

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Collect the devices that are seen, and answer other nodes, for the block."""
        async with (
            self._own.at_work(),
            self._answers.at_work(),
            self._peers.joined(self._answers.asked),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._number_events)
            yield
            nursery.cancel_scope.cancel()

    async def _number_events(self) -> None:
        """Have numbers of events that no other node has."""
        while True:
            try:
                self.numbers.first = await self._peers.numbers(self._processes)
            except ClusterDown:
                await trio.sleep(NUMBERS_S)
            else:
                return

    async def run(self) -> NoReturn:
        """Serve subscribers for ever. A cancel ends all subscriptions."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._own.run)
            nursery.start_soon(self._windows.run)
            await self._events.run()
        raise AssertionError

    # -- queries

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._windows.is_full or self._events.is_full

    def watching(
        self, wanted: Wanted | None = None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events of the rows that are wanted, for the block."""
        return self._windows.watching(wanted or Wanted())

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """Give the events from now on, for the block."""
        return self._events.following(device_id)

    async def rows(self) -> Sequence[Row]:
        """Return all devices that are connected, of the nodes that answer."""
        return await self._all(Wanted())

    @property
    def shares_away(self) -> bool:
        """Whether the devices that are away are those of all nodes."""
        return self._own.shares_away

    async def away(self) -> Sequence[Row]:
        """Return all devices that are away, of the nodes that answer."""
        return await self._all(Wanted("offline"))

    async def _all(self, wanted: Wanted) -> list[Row]:
        rows: list[Row] = []
        page = await self.listed(wanted)
        while page.last is not None:
            rows += page.rows
            page = await self.listed(wanted._replace(after=page.last))
        return [*rows, *page.rows]

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device."""
        return self._own.tags_of(device_id)

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the ids of the devices with a tag."""
        return self._own.tagged(tag)

    async def row(self, device_id: str) -> Row | None:
        """Return one device."""
        rows, missing = await self._rows.of([device_id])
        if not rows and missing:
            raise NotReached(f"it may be at a node that gave no answer: {', '.join(missing)}")
        return rows[0] if rows else None

    async def rows_of(self, device_ids: Sequence[str]) -> Sequence[Row]:
        """Return some devices, of the nodes that answer."""
        return (await self._rows.of(device_ids))[0]

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted, `LIMIT` at most."""
        return await self._rows.page(wanted)

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted, `LIMIT` at most."""
        limit = min(wanted.limit or LIMIT, LIMIT)
        return (await self._rows.keys(wanted._replace(limit=limit))).keys

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events, of the nodes that answer."""

        async def here() -> list[Any]:
            return [await self._own.events(device_id)]

        answers = await self._nodes.ask_all("events", ROWS_S, here, device_id=device_id)
        told = sorted((one for part in answers.all() for one in part), key=in_order)
        return told[-(LATEST if device_id is None else KEPT) :]

    # -- actions

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button."""
        return (await self.press_each([device_id], button))[device_id]

    async def press_each(self, device_ids: Sequence[str] | None, button: Button) -> Outcomes:
        """Press a button of several devices."""

        async def here(ids: Sequence[str] | None) -> Outcomes:
            return await self._own.press_each(ids, button)

        return await self._act("press_each", device_ids, here, button=button.name)

    async def play(self, device_ids: Sequence[str] | None, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""

        async def here(ids: Sequence[str] | None) -> Outcomes:
            return await self._own.play(ids, clip)

        return await self._act("play", device_ids, here, clip=clip)

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Stop playback."""
        return await self._act("stop", device_ids, self._own.stop)

    async def announce(self, device_ids: Sequence[str] | None, order: Order) -> Outcomes:
        """Make an announcement; each node with devices of it fetches the sound once."""
        sound = order.sound
        sha = (await trio.to_thread.run_sync(sha256, sound.frames)).hexdigest()
        facts = {"number": order.id, "name": sound.name, "sha": sha}
        numbers = {"sound_bytes": sound.sound_bytes, "priority": order.priority}

        async def here(ids: Sequence[str] | None) -> Outcomes:
            return await self._own.announce(ids, order)

        offered = {sha: sound.frames}
        return await self._act("announce", device_ids, here, offered, **facts, **numbers)

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, where it is."""
        own = self._nodes.node
        if (node := self._begun.at(order.number, None)) is None:
            with suppress(ClusterDown):
                node = (await self._peers.homes([device_id])).get(device_id)
            node = self._begun.at(order.number, node or own)
        if node is None or node == own:
            return await self._own.judge(device_id, order)
        asked = {node: {"device_id": device_id, "order": order}}
        answers = await self._nodes.ask_some("judge", ACT_S, asked)
        for progress in answers.all():
            assert isinstance(progress, Progress)
            return progress
        fault = answers.faults.get(node, "gave no answer")
        return Progress("failed", f"its node {self._peers.name_of(node)} {fault}")

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement, of the nodes that answer."""
        own = await self._own.reports(announcement_id)

        async def here() -> list[Any]:
            return []

        answers = await self._nodes.ask_all("reports", ROWS_S, here, number=announcement_id)
        told = {key: one for part in answers.all() for key, one in part.items()}
        others = {key: Report(Hearing(hearing), why) for key, (hearing, why) in told.items()}
        return {**others, **own}

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, which all nodes share."""
        return await self._own.rename(device_id, name)

    async def tag(
        self, device_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> Outcomes:
        """Give devices tags, and take others away; all nodes share them."""
        return await self._own.tag(device_ids, add, remove)

    def follow_tags(self, listener: TagListener) -> None:
        """Report each change of tags to `listener`."""
        self._own.follow_tags(listener)

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory of all nodes; one that has neither name nor tags may
        be known to others alone."""
        outcome = await self._own.forget(device_id)
        if outcome != GONE:
            return outcome

        async def here() -> list[Any]:
            return []

        answers = await self._nodes.ask_all("forget", ACT_S, here, device_id=device_id)
        outcomes = [Outcome(*part[device_id]) for part in answers.all()]
        order = {"failed": 0, "done": 1, "gone": 2}
        return min(outcomes, key=lambda one: order[one.result], default=GONE)

    async def _act(
        self,
        what: str,
        device_ids: Sequence[str] | None,
        here: Callable[[Sequence[str] | None], Awaitable[Outcomes]],
        offered: Mapping[str, bytes] | None = None,
        **facts: Any,
    ) -> Outcomes:
        """Run an action in each node, on its own devices; `here` does it to those of this one, and
        the others find what is `offered`."""
        if device_ids is not None:
            return await self._act_on(what, device_ids, here, offered, **facts)

        async def do_here() -> list[Any]:
            return [await here(None)]

        asked = {"device_ids": None, **facts}
        answers = await self._nodes.ask_all(what, ACT_S, do_here, offered=offered, **asked)
        outcomes = OutcomesOfNodes()
        for part in answers.all():
            outcomes.update({key: Outcome(*one) for key, one in part.items()})
        outcomes.missing = tuple(sorted(answers.missing))
        return outcomes

    async def _act_on(
        self,
        what: str,
        device_ids: Sequence[str],
        here: Callable[[Sequence[str] | None], Awaitable[Outcomes]],
        offered: Mapping[str, bytes] | None,
        **facts: Any,
    ) -> Outcomes:
        is_down = False
        homes: Mapping[str, str] = {}
        try:
            homes = await self._peers.homes(device_ids)
        except ClusterDown:
            is_down = True
        own = self._nodes.node
        away: dict[str, list[str]] = {}
        for device_id in device_ids:
            if (home := homes.get(device_id, own)) != own:
                away.setdefault(home, []).append(device_id)
        asked = {node: {"device_ids": ids, **facts} for node, ids in away.items()}
        outcomes = OutcomesOfNodes(dict.fromkeys(device_ids, GONE))

        async def act_at_others() -> None:
            told = await self._act_at(what, asked, away, offered)
            outcomes.update(told)
            outcomes.missing = told.missing

        async with trio.open_nursery() as nursery:
            nursery.start_soon(act_at_others)
            done = await here([one for one in device_ids if homes.get(one, own) == own])
            outcomes.update(done)
        if is_down:
            outcomes.update({key: NO_CLUSTER for key, one in done.items() if one == GONE})
            outcomes.missing = (await self._peers.around()).missing
        return outcomes

    async def _act_at(
        self,
        what: str,
        asked: Mapping[str, Mapping[str, Any]],
        concerned: Mapping[str, Sequence[str]],
        offered: Mapping[str, bytes] | None = None,
    ) -> OutcomesOfNodes:
        """Run an action in other nodes, on those of their devices that it concerns."""
        answers = await self._nodes.ask_some(what, ACT_S, asked, offered=offered)
        outcomes = OutcomesOfNodes()
        for node, device_ids in concerned.items():
            fault = answers.faults.get(node, "gave no answer")
            silent = Outcome("failed", f"its node {self._peers.name_of(node)} {fault}")
            outcomes.update(dict.fromkeys(device_ids, silent))
        for part in answers.all():
            outcomes.update({key: Outcome(*one) for key, one in part.items()})
        outcomes.missing = tuple(sorted(answers.missing))
        return outcomes
