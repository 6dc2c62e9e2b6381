"""The fleet of one server: the devices that are connected to its process, or to its workers.

It asks its agents and puts their answers together, and asks for rows and events only while there
are subscribers. The history of a device is with its agent, and ends with that process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar

import trio

from audio_server.cluster.interface import NoAnswer, RecordNews, Records
from audio_server.device.behaviour import Button
from audio_server.fleet.agents import Agent, Agents, DeviceIds, SeenRow
from audio_server.fleet.announcements import Order, Reports
from audio_server.fleet.broadcast import Broadcast
from audio_server.fleet.change_tracker import LOOK_S
from audio_server.fleet.event_numbers import in_order
from audio_server.fleet.history import KEPT, LATEST
from audio_server.fleet.interface import (
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
from audio_server.fleet.judging import Begun
from audio_server.fleet.listing import Keys, Page, Wanted, keys_of, page_of, rows_for
from audio_server.fleet.merge import Merge
from audio_server.fleet.names import checked_name
from audio_server.fleet.sightings import COLLECT_S
from audio_server.judge.order import Order as JudgeOrder
from audio_server.judge.order import Progress

if TYPE_CHECKING:
    from audio_server.cluster.inventory import SharedInventory

LAST_S = 1.0
"""How long a server that stops waits for the last sightings."""

T = TypeVar("T")


class OwnFleet:
    """A `Fleet` over `agents`. Without `inventory` names, tags and the devices seen last as long as
    the process; they are collected while it is `at_work`. With `shared` names and tags are those of
    all servers, with `away` the devices that were seen, too."""

    def __init__(
        self,
        agents: Agents,
        inventory: InventoryStore | None = None,
        shared: Records | None = None,
        away: SharedInventory | None = None,
    ) -> None:
        self.numbers = agents.numbers
        self._agents = agents
        self._inventory = Inventory(inventory, shared, away)
        self._inventory.follow(self._on_record)
        self._broadcast = Broadcast(self._inventory)
        self._merge = Merge()
        self._begun = Begun()
        self._news: deque[RecordNews] = deque()
        self._has_news = trio.Event()
        self._passing_on = trio.Lock()
        self._tag_listener: TagListener = NoListener()
        agents.follow(self._lose)

    async def run(self) -> NoReturn:
        """Serve subscribers for ever. A cancel ends all subscriptions."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._agents.run)
            await self._watch()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Collect the devices that are seen for the block, and at its end all that is left."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._collect_for_ever)
                nursery.start_soon(self._pass_on_for_ever)
                yield
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                await self.collect_all()
                await self._inventory.finish()

    async def _collect_for_ever(self) -> NoReturn:
        while True:
            await trio.sleep(COLLECT_S)
            await self._collect()

    async def collect_all(self) -> None:
        """Collect all that was seen: the agents are about to end."""
        with trio.move_on_after(LAST_S):
            await self._collect(everything=True)

    async def _collect(self, *, everything: bool = False) -> None:
        async def collect(agent: Agent) -> None:
            take = partial(self._inventory.take, node=agent.node)
            await agent.collect(take, everything=everything)
            if agent not in self._agents.all():
                self._inventory.lose(agent.node)  # it has ended with this answer

        await self._gather(collect)

    async def _watch(self) -> NoReturn:
        try:
            while True:
                await self._broadcast.wait_watched()
                await self._gather(self._look_at)
                await self._broadcast.tell(self._merge.flush())
                await trio.sleep(LOOK_S)
        finally:
            self._broadcast.close()

    async def _look_at(self, agent: Agent) -> None:
        try:
            found = await agent.changes()
        except NoAnswer:
            self._merge.lose(agent.node)
            return
        if agent in self._agents.all():  # else it has ended with this answer
            for changes in found:
                self._merge.take(agent.node, changes)

    def _lose(self, node: str) -> None:
        self._merge.lose(node)
        self._inventory.lose(node)

    async def _gather(self, ask: Callable[[Agent], Awaitable[T]]) -> list[T]:
        """Return the answers of all agents that give one."""
        answers: list[T] = []

        async def gather(agent: Agent) -> None:
            with suppress(NoAnswer):
                answers.append(await ask(agent))

        async with trio.open_nursery() as nursery:
            for agent in self._agents.all():
                nursery.start_soon(gather, agent)
        return answers

    # -- queries

    @property
    def is_full(self) -> bool:
        """Whether the number of subscribers is at its bound."""
        return self._broadcast.is_full or self._agents.subscribers.is_full

    def watching(
        self, wanted: Wanted | None = None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block, of all devices."""
        return self._broadcast.watching()

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """Give the events from now on, for the block."""
        return self._agents.subscribers.following(device_id)

    async def rows(self) -> Sequence[Row]:
        """Return all devices."""
        seen = await self._seen(None)
        return [self._inventory.live_row(one.device_id, one.facts) for one in seen]

    async def _seen(self, device_ids: DeviceIds) -> Collection[SeenRow]:
        """Return one row for each device: that of the agent to which it connected last."""
        answers = await self._gather(lambda agent: agent.rows(device_ids))
        if len(answers) == 1:  # as in one process: the rows are many
            return answers[0]
        newest: dict[str, SeenRow] = {}
        for seen in (seen for rows in answers for seen in rows):
            last = newest.get(seen.device_id)
            if last is None or seen.came_ns >= last.came_ns:
                newest[seen.device_id] = seen
        return newest.values()

    async def row(self, device_id: str) -> Row | None:
        """Return one device, also one that is away."""
        return next(iter(await self.rows_of([device_id])), None)

    async def rows_of(self, device_ids: Sequence[str]) -> Sequence[Row]:
        """Return some devices: of those that have just gone their last rows."""
        seen = {one.device_id: one.facts for one in await self._seen(device_ids)}
        if not all(one in seen and seen[one]["connected"] for one in device_ids):
            await self._collect()  # how they have gone
        inventory = self._inventory
        for one in [one for one, facts in seen.items() if not facts["connected"]]:
            if inventory.is_newer(one):
                del seen[one]
        return [
            inventory.live_row(one, seen[one]) if one in seen else inventory.row(one)
            for one in device_ids
            if one in seen or inventory.knows(one)
        ]

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted."""
        return await page_of(await rows_for(self, wanted), wanted)

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted."""
        return await keys_of(await rows_for(self, wanted), wanted)

    @property
    def shares_away(self) -> bool:
        """Whether the devices that are away are those of all servers."""
        return self._inventory.is_shared

    async def away(self) -> Sequence[Row]:
        """Return the devices of the inventory that are away; takes them a few at a time."""
        return await self._inventory.away(self._agents.is_connected)

    def tags_of(self, device_id: str) -> Sequence[str]:
        """Return the tags of a device."""
        return self._inventory.tags_of(device_id)

    def tagged(self, tag: str) -> Sequence[str]:
        """Return the ids of the devices with a tag."""
        return self._inventory.tagged(tag)

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """Return the latest events."""
        parts = await self._gather(lambda agent: agent.events(device_id))
        told = sorted((one for part in parts for one in part), key=in_order)
        return told[-(LATEST if device_id is None else KEPT) :]

    # -- actions

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button."""
        return (await self.press_each([device_id], button))[device_id]

    async def press_each(self, device_ids: DeviceIds, button: Button) -> Outcomes:
        """Press a button of several devices."""
        return await self._act(device_ids, lambda agent, ids: agent.press_each(ids, button))

    async def play(self, device_ids: DeviceIds, clip: int | str) -> Outcomes:
        """Play a clip or a live channel."""
        return await self._act(device_ids, lambda agent, ids: agent.play(ids, clip))

    async def stop(self, device_ids: DeviceIds) -> Outcomes:
        """Stop playback."""
        return await self._act(device_ids, lambda agent, ids: agent.stop(ids))

    async def announce(self, device_ids: DeviceIds, order: Order) -> Outcomes:
        """Make an announcement; each agent with devices of it fetches the sound once."""
        async with self._agents.offering(order) as offered:
            return await self._act(device_ids, lambda agent, ids: agent.announce(ids, offered))

    async def judge(self, device_id: str, order: JudgeOrder) -> Progress:
        """Judge a device, or say how far that is."""
        has = next((agent.node for agent, _ in self._agents.shares([device_id])), None)
        node = self._begun.at(order.number, has)
        for agent in self._agents.all():
            if agent.node == node:
                try:
                    return await agent.judge(device_id, order)
                except NoAnswer:
                    return Progress(*agent.silent)
        return Progress("gone")

    async def reports(self, announcement_id: str) -> Reports:
        """Return the reports of an announcement, of the agents that answer."""
        parts = await self._gather(lambda agent: agent.reports(announcement_id))
        return {device_id: report for part in parts for device_id, report in part.items()}

    async def _act(
        self,
        device_ids: DeviceIds,
        do: Callable[[Agent, DeviceIds], Awaitable[Outcomes]],
    ) -> Outcomes:
        """Run an action in each agent, on its own devices."""
        outcomes: dict[str, Outcome] = dict.fromkeys(device_ids or (), GONE)

        async def act(agent: Agent, share: DeviceIds) -> None:
            try:
                outcomes.update(await do(agent, share))
            except NoAnswer:
                outcomes.update(dict.fromkeys(share or (), agent.silent))

        async with trio.open_nursery() as nursery:
            for agent, share in self._agents.shares(device_ids):
                nursery.start_soon(act, agent, share)
        return outcomes

    # -- records

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, or take it away."""
        checked = None if name is None else checked_name(name)
        is_known = self._knows(device_id)
        outcome = await self._inventory.rename(device_id, checked, is_known=is_known)
        await self._pass_on()
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
        row = await self.row(device_id)  # collects its end, which would bring it back
        if row is None:
            return GONE
        if row["connected"] or self._agents.is_connected(device_id):
            return IS_CONNECTED
        outcome = await self._inventory.forget(device_id, is_known=True)
        await self._pass_on()
        return outcome

    def _on_record(self, news: RecordNews) -> None:
        """Show a change of a name or of tags, of this server or of another one."""
        if news.is_forgotten or (news.is_renamed and not news.is_late):
            self._news.append(news)
            self._has_news.set()
        self._broadcast.touch(news.device_id)
        if set(news.tags_before) != set(self._inventory.tags_of(news.device_id)):
            self._tag_listener.retag(news.device_id)

    async def _pass_on_for_ever(self) -> NoReturn:
        while True:
            await self._has_news.wait()
            await self._pass_on()

    async def _pass_on(self) -> None:
        """Have agents keep the histories of devices as records are now."""
        async with self._passing_on:
            self._has_news = trio.Event()
            while self._news:
                news = self._news.popleft()
                device_id, name = news.device_id, self._inventory.name_of(news.device_id)
                share = None if news.is_forgotten else [device_id]
                for agent, _ in self._agents.shares(share):
                    with suppress(NoAnswer):
                        if news.is_forgotten:
                            await agent.forgotten(device_id)
                        else:
                            await agent.renamed(device_id, name)

    def _knows(self, device_id: str) -> bool:
        return self._agents.knows(device_id) or self._inventory.knows(device_id)
