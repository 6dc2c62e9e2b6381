"""The fleet of all nodes of a cluster, as each of them has it.

The node's own fleet is an agent of it, which is asked without the cluster, so that it works while
that is away. Other nodes are asked for rows and events only while there are subscribers, and no
list of all is made anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from random import randrange
from typing import Any

import trio

from audio_server.cluster.interface import ClusterDown, Incompatible, NoAnswer
from audio_server.cluster.peers import NodeFacts, Peers
from audio_server.fleet.agents import Actor, DeviceIds, Gaps
from audio_server.fleet.announcements import Order
from audio_server.fleet.asked_agent import ASK_S, AskedAgent, with_sha
from audio_server.fleet.event_numbers import PROCESSES
from audio_server.fleet.events_of_nodes import EventsOfNodes
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import GONE, Outcome, Outcomes, Row, TagCount, TagCounts
from audio_server.fleet.listing import Keys, Page, Wanted
from audio_server.fleet.node_answers import NodeAnswers
from audio_server.fleet.nodes_around import INCOMPATIBLE, NodesAround
from audio_server.fleet.rows_of_nodes import LIMIT, RowsOfNodes
from audio_server.fleet.windows import Windows
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

NUMBERS_S = 0.2
"""Pause between two attempts to have numbers for events."""

TAGS_S = 2.0
"""How long a node may take to count the devices with each tag."""

ACT_S = 5.0
"""How long a node may take to do something to all its devices."""

NO_CLUSTER = Outcome("failed", "the cluster cannot be reached, and it is not at this node")


def fleet_of_nodes(
    own: Fleet, peers: Peers, facts: Callable[[], NodeFacts], processes: int = 1
) -> Fleet:
    """Return the fleet of the node's `own` devices and those of its `peers`; `facts` are those of
    its own heartbeat, and it has so many `processes`."""
    nodes = NodesAround(peers)
    rows = NodeRows(own, nodes, facts, processes)
    return Fleet(NodeAgents(own, nodes), rows, own.labels)


class NodeAgent(AskedAgent):
    """Another node, as an agent, for one action or query."""

    def __init__(self, agents: NodeAgents, node: str, began_at: float) -> None:
        self.act_s = self.press_s = ACT_S
        self._agents = agents
        self._nodes = agents.nodes
        self._node = node
        self._began_at = began_at

    async def ask(self, what: str, within_s: float = ASK_S, **facts: Any) -> list[Any]:
        """Return the parts of its answer. Raises `NoAnswer`."""
        return await self._nodes.ask(self._node, what, self._began_at + within_s, **facts)

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes:
        """Make an announcement."""
        return await super().announce(device_ids, await self._agents.offer(order))

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is: one agent is asked again and again."""
        self._began_at = trio.current_time()
        return await super().judge(device_id, order)

    def silence(self, error: NoAnswer) -> tuple[Outcome, Sequence[str]]:
        """Return the outcome of an action without an answer, and the name of the node."""
        is_other = isinstance(error, Incompatible)
        fault = f"has an {INCOMPATIBLE}" if is_other else "gave no answer"
        reason = f"its node {self._nodes.peers.name_of(self._node)} {fault}"
        return Outcome("failed", reason), [self._nodes.missing_name(self._node, error)]


class NodeAgents:
    """The `Agents` of a cluster: the `own` fleet, and the other nodes."""

    def __init__(self, own: Fleet, nodes: NodesAround) -> None:
        self.numbers = own.numbers
        self.nodes = nodes
        self.subscribers = EventsOfNodes(own, nodes)
        self._own = own
        self._offering = trio.Lock()
        self._offered: Order | None = None

    async def run(self) -> None:
        """Give events to subscribers."""
        await self.subscribers.run()

    async def shares(
        self, device_ids: DeviceIds, gaps: Gaps
    ) -> AsyncGenerator[tuple[Actor, DeviceIds], None]:
        """Yield the nodes with these devices, or all, and which devices each has."""
        peers, began_at = self.nodes.peers, trio.current_time()
        if device_ids is None:
            yield self._own, None
            around = await peers.around()
            gaps.missing.extend(around.missing)
            for node in around.living:
                yield NodeAgent(self, node, began_at), None
            return
        homes: Mapping[str, str] = {}
        try:
            homes = await peers.homes(device_ids)
        except ClusterDown:
            gaps.gone = NO_CLUSTER
        shares: dict[str, list[str]] = {}
        for device_id in device_ids:
            shares.setdefault(homes.get(device_id, peers.node), []).append(device_id)
        for node, ids in shares.items():
            agent: Actor = NodeAgent(self, node, began_at)
            yield self._own if node == peers.node else agent, ids
        if gaps.gone is NO_CLUSTER:
            gaps.missing.extend((await peers.around()).missing)

    def offering(self, order: Order) -> AbstractAsyncContextManager[Order]:
        """Give the order as it is: its sound is offered once a node wants it."""
        return nullcontext(order)

    async def offer(self, order: Order) -> Order:
        """Let other nodes fetch the sound of an order: once for all of them."""
        async with self._offering:
            if self._offered is None or self._offered.id != order.id:
                self._offered = await with_sha(order)
                await self.nodes.peers.offer({self._offered.sha: order.sound.frames})
            return self._offered


class NodeRows:
    """The `Rows` of a cluster."""

    def __init__(
        self, own: Fleet, nodes: NodesAround, facts: Callable[[], NodeFacts], processes: int
    ) -> None:
        self._own = own
        self._nodes = nodes
        self._processes = processes
        self._answers = NodeAnswers(own, nodes.peers.offered)
        self._rows = RowsOfNodes(own, nodes, self._answers, facts)
        self._windows = Windows(self._rows)
        self.of = self._rows.of
        self.listed = self._rows.page
        self.collect_all = own.collect_all
        own.numbers.first = randrange(PROCESSES)  # until the cluster says another one

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep the own inventory, and answer other nodes, for the block."""
        async with (
            self._own.at_work(),
            self._answers.at_work(),
            self._nodes.peers.joined(self._answers.asked),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._number_events)
            yield
            nursery.cancel_scope.cancel()

    async def _number_events(self) -> None:
        """Have numbers of events that no other node has."""
        while True:
            try:
                self._own.numbers.first = await self._nodes.peers.numbers(self._processes)
            except ClusterDown:
                await trio.sleep(NUMBERS_S)
            else:
                return

    async def run(self) -> None:
        """Serve those that watch, and those of the own fleet."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._own.run)
            nursery.start_soon(self._windows.run)

    @property
    def is_full(self) -> bool:
        """Whether the number of those that watch is at its bound."""
        return self._windows.is_full

    def watching(
        self, wanted: Wanted | None = None, offset: int = 0
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events of the rows that are wanted, for the block."""
        return self._windows.watching(wanted or Wanted(), offset)

    async def all(self, wanted: Wanted) -> list[Row]:
        """Return the rows that are wanted, page by page."""
        rows: list[Row] = []
        page: Page = await self.listed(wanted)
        while page.last is not None:
            rows += page.rows
            page = await self.listed(wanted._replace(after=page.last))
        return [*rows, *page.rows]

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted, `LIMIT` at most."""
        limit = min(wanted.limit or LIMIT, LIMIT)
        return (await self._rows.keys(wanted._replace(limit=limit))).keys

    async def tag_counts(self) -> TagCounts:
        """Return how many devices have each tag: nodes say how many are connected there."""

        async def here() -> list[Any]:
            return [await self._answers.connected()]

        answers = await self._nodes.ask_all("connected", TAGS_S, here)
        connected = Counter[str]()
        for part in answers.all():
            connected.update(part)
        own = (await self._own.tag_counts()).tags
        counts = {tag: TagCount(one.known, connected[tag]) for tag, one in own.items()}
        return TagCounts(counts, sorted(set(answers.missing)))

    async def ids(self, wanted: Wanted) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of the rows that are wanted, and the names of missing nodes."""
        return await self._rows.ids(wanted)

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory of all nodes; one that has neither name nor tags may
        be known to others alone."""
        outcome = await self._own.forget(device_id)
        if outcome != GONE:
            return outcome

        async def here() -> list[Any]:
            return []

        answers = await self._nodes.ask_all("forget", ACT_S, here, device_id=device_id)
        outcomes = [part[device_id] for part in answers.all()]
        order = {"failed": 0, "done": 1, "gone": 2}
        return min(outcomes, key=lambda one: order[one.result], default=GONE)
