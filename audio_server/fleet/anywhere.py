"""The fleet of devices that are connected to any nodes.

It asks the nodes and puts their answers together, and asks for rows and events only while there
are subscribers. A node that is gone or hangs has no devices until it is replaced or answers again;
it delays the others for as long as its first missing answer. The history of a device is with its
node, and ends with that process.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from hashlib import sha256
from typing import Any, NoReturn

import trio

from audio_server.cluster.interface import NoAnswer, Nodes, RecordNews, Records
from audio_server.device.announcing import Hearing
from audio_server.device.behaviour import Button
from audio_server.fleet.actions import press_each
from audio_server.fleet.agent import Agent
from audio_server.fleet.announcements import Order, Report, Reports
from audio_server.fleet.broadcast import Broadcast
from audio_server.fleet.change_tracker import Changes, EncodedRow
from audio_server.fleet.collector import Collector
from audio_server.fleet.event_numbers import EventNumbers, in_order
from audio_server.fleet.history import KEPT, LATEST
from audio_server.fleet.interface import (
    DONE,
    GONE,
    IS_CONNECTED,
    Event,
    NoListener,
    Outcome,
    Outcomes,
    Row,
    TagListener,
)
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.fleet.listing import Keys, Page, Wanted, keys_of, page_of, rows_for
from audio_server.fleet.local import LOOK_S
from audio_server.fleet.merge import Merge
from audio_server.fleet.names import checked_name
from audio_server.fleet.subscribers import Subscribers

ROWS_S = 2.0
ACT_S = 10.0
"""How long a node may take to do something to all its devices."""

PRESS_S = 3.0


class FleetAnywhere:
    """A `Fleet` over those `nodes` that are `included`. Without `inventory` names, tags and the
    devices seen last as long as the process; they are collected while it is `at_work`. With
    `shared` names and tags are those of all machines."""

    def __init__(
        self, nodes: Nodes, inventory: InventoryStore | None = None, shared: Records | None = None
    ) -> None:
        self._nodes = nodes
        self._inventory = Inventory(inventory, shared)
        self._broadcast = Broadcast(self._inventory)
        self._inventory.follow(self._on_record)
        self._merge = Merge()
        self.numbers = EventNumbers()
        self._subscribers = Subscribers(lambda _, event: self._numbered(event))
        self._agents: dict[str, Agent] = {}
        self._collector = Collector(nodes, self._agents, self._inventory)
        self._tag_listener: TagListener = NoListener()
        self._nursery: trio.Nursery | None = None

    @contextmanager
    def including(self, node: str, worker: int) -> Iterator[None]:
        """Include the devices of a node, which is that worker, for the block."""
        self._agents[node] = Agent(self._nodes, node, worker, self._on_late)
        try:
            yield
        finally:
            del self._agents[node]
            self._merge.lose(node)
            self._inventory.lose(node)

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Collect the devices that are seen for the block."""
        return self._collector.at_work()

    async def collect_all(self) -> None:
        """Collect all that the nodes have seen: they are about to end."""
        await self._collector.collect_all()

    async def run(self) -> NoReturn:
        """Ask the nodes for ever, while there is a subscriber. A cancel ends that."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._subscribers.run)
            self._nursery.start_soon(self._follow)
            await self._watch()

    async def _watch(self) -> NoReturn:
        try:
            while True:
                await self._broadcast.wait_watched()
                await self._each(self._look_at)
                await self._broadcast.tell(self._merge.flush())
                await trio.sleep(LOOK_S)
        finally:
            self._broadcast.close()

    async def _look_at(self, agent: Agent) -> None:
        try:
            parts = await agent.ask("changes", anew=not agent.is_known)
        except NoAnswer:
            agent.is_known = False
            self._merge.lose(agent.node)
            return
        if agent.node not in self._agents:
            return  # it has ended with this answer
        agent.is_known = True
        for rows, gone in parts:
            told = {device_id: EncodedRow(*row) for device_id, row in rows.items()}
            self._merge.take(agent.node, Changes(told, gone))

    async def _follow(self) -> NoReturn:
        while True:
            await self._subscribers.wait_followed()
            for agent in self._agents.values():
                agent.heard = None  # skip the events of the past
            while self._subscribers.are_there:
                await self._each(self._hear)
                await trio.sleep(LOOK_S)

    async def _hear(self, agent: Agent) -> None:
        try:
            ((last, events),) = await agent.ask("fresh", after=agent.heard)
        except NoAnswer:
            return
        agent.heard = last
        for event in events:
            self._subscribers.note(event["device"], event)

    # -- nodes

    async def _each(self, do: Callable[[Agent], Awaitable[None]]) -> None:
        """Run an action with all nodes, at the same time."""
        async with trio.open_nursery() as nursery:
            for agent in list(self._agents.values()):
                nursery.start_soon(do, agent)

    def _on_late(self, agent: Agent) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(agent.wait_back)

    async def _gather(self, what: str, **facts: Any) -> list[Any]:
        """Return the parts of all answers that came."""
        parts: list[Any] = []

        async def ask(agent: Agent) -> None:
            try:
                parts.extend(await agent.ask(what, ROWS_S, **facts))
            except NoAnswer:
                return

        await self._each(ask)
        return parts

    def _agent_of(self, device_id: str) -> Agent | None:
        return self._agents.get(self._nodes.owner(device_id) or "")

    # -- queries

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._broadcast.is_full or self._subscribers.is_full

    def watching(
        self, wanted: Wanted | None = None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block, of all devices."""
        return self._broadcast.watching()

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """Give the events from now on, for the block."""
        return self._subscribers.following(device_id)

    async def rows(self) -> Sequence[Row]:
        """Return all devices."""
        return self._newest(await self._gather("rows"))

    async def row(self, device_id: str) -> Row | None:
        """Return one device."""
        rows = self._newest(await self._gather("row", device_id=device_id))
        if rows:
            return rows[0]
        return self._inventory.row(device_id) if self._inventory.knows(device_id) else None

    async def rows_of(self, device_ids: Sequence[str]) -> Sequence[Row]:
        """Return some devices: of those that have just gone their last rows."""
        rows = {row["id"]: row for row in await self.rows()}
        found = [rows.get(one) or await self.row(one) for one in device_ids]
        return [row for row in found if row is not None]

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted."""
        return await page_of(await rows_for(self, wanted), wanted)

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted."""
        return await keys_of(await rows_for(self, wanted), wanted)

    async def away(self) -> Sequence[Row]:
        """Return the devices of the inventory that are away."""
        return await self._inventory.away(self._inventory.here)

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device."""
        return self._inventory.tags_of(device_id)

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the ids of the devices with a tag."""
        return self._inventory.tagged(tag)

    def _newest(self, batches: Iterable[list[tuple[str, int, Row]]]) -> list[Row]:
        """A row for each device: that of the node to which it connected last."""
        newest: dict[str, tuple[int, Row]] = {}
        for device_id, came_ns, facts in (told for batch in batches for told in batch):
            if came_ns >= newest.get(device_id, (0,))[0]:
                newest[device_id] = came_ns, facts
        return [
            self._inventory.live_row(device_id, facts) for device_id, (_, facts) in newest.items()
        ]

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        batches = await self._gather("events", device_id=device_id)
        told = sorted((one for batch in batches for one in batch), key=in_order)
        latest = told[-(LATEST if device_id is None else KEPT) :]
        return [self._numbered(one) for one in latest]

    def _numbered(self, event: Event) -> Event:
        return {**event, "seq": self.numbers.of_all(event["seq"])}

    # -- actions

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button."""
        agent = self._agent_of(device_id)
        if agent is None:
            return GONE
        facts = {"device_id": device_id, "button": button.name}
        return (await agent.act("press", PRESS_S, [device_id], **facts))[device_id]

    async def press_each(self, device_ids: Sequence[str] | None, button: Button) -> Outcomes:
        """Press a button of several devices."""
        chosen = [row["id"] for row in await self.rows()] if device_ids is None else device_ids
        return await press_each(self.press, chosen, button)

    async def play(self, device_ids: Sequence[str] | None, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""
        return await self._act("play", device_ids, clip=clip)

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Stop playback."""
        return await self._act("stop", device_ids)

    async def announce(self, device_ids: Sequence[str] | None, order: Order) -> Outcomes:
        """Make an announcement; each node with devices of it fetches the sound once."""
        sound = order.sound
        sha = (await trio.to_thread.run_sync(sha256, sound.frames)).hexdigest()
        facts = {"number": order.id, "name": sound.name, "sha": sha}
        numbers = {"sound_bytes": sound.sound_bytes, "priority": order.priority}
        with self._nodes.offering({sha: sound.frames}):
            return await self._act("announce", device_ids, **facts, **numbers)

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement, of the nodes that answer."""
        parts = await self._gather("reports", number=announcement_id)
        told = {device_id: report for part in parts for device_id, report in part.items()}
        return {key: Report(Hearing(hearing), reason) for key, (hearing, reason) in told.items()}

    async def _act(self, what: str, device_ids: Sequence[str] | None, **facts: Any) -> Outcomes:
        """Run an action in each node, on its own devices."""
        outcomes: dict[str, Outcome] = dict.fromkeys(device_ids or (), GONE)

        async def act(agent: Agent) -> None:
            here = None
            if device_ids is not None:
                here = [one for one in device_ids if self._nodes.owner(one) == agent.node]
            if here is None or here:
                asked = {"device_ids": here, **facts}
                outcomes.update(await agent.act(what, ACT_S, here or (), **asked))

        await self._each(act)
        return outcomes

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name."""
        checked = None if name is None else checked_name(name)
        is_known = self._knows(device_id)
        outcome = await self._inventory.rename(device_id, checked, is_known=is_known)
        if outcome == DONE and (agent := self._agent_of(device_id)) is not None:
            await agent.act("renamed", PRESS_S, (), device_id=device_id, name=checked)
        return outcome

    async def tag(
        self, device_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> Outcomes:
        """Give devices tags, and take others away."""
        outcomes = await self._inventory.tag(device_ids, add, remove, self._knows)
        await self._tag_listener.settle()
        return outcomes

    def follow_tags(self, listener: TagListener) -> None:
        """Report each change of tags to `listener`."""
        self._tag_listener = listener

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory."""
        row = await self.row(device_id)
        if row is None:
            return GONE
        if row["connected"]:
            return IS_CONNECTED
        await self._collector.collect()  # its end, which would bring it back
        await self._gather("forgotten", device_id=device_id)
        if self._nodes.is_connected(device_id):  # since the nodes were asked
            return IS_CONNECTED
        return await self._inventory.forget(device_id, is_known=True)

    def _on_record(self, news: RecordNews) -> None:
        self._broadcast.touch(news.device_id)
        if set(news.tags_before) != set(self._inventory.tags_of(news.device_id)):
            self._tag_listener.retag(news.device_id)

    def _knows(self, device_id: str) -> bool:
        return self._nodes.owner(device_id) is not None or self._inventory.knows(device_id)
