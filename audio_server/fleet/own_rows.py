"""The rows of one server: of the devices that its agents have, and of its inventory.

The agents are asked for changes only while there are subscribers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import trio

from audio_server.cluster.interface import NoAnswer, RecordNews, Records
from audio_server.fleet.agents import DeviceIds, SeenRow, gather
from audio_server.fleet.broadcast import Broadcast
from audio_server.fleet.change_tracker import LOOK_S
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import GONE, IS_CONNECTED, Outcome, Row, TagCounts
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.inventory_store import InventoryStore
from audio_server.fleet.labels import Labels, OwnAgent, OwnAgents
from audio_server.fleet.listing import Keys, Page, Wanted, keys_of, page_of
from audio_server.fleet.merge import Merge
from audio_server.fleet.sightings import COLLECT_S

if TYPE_CHECKING:
    from audio_server.cluster.inventory import SharedInventory

LAST_S = 1.0
"""How long a server that stops waits for the last sightings."""


def own_fleet(
    agents: OwnAgents,
    inventory: InventoryStore | None = None,
    shared: Records | None = None,
    away: SharedInventory | None = None,
) -> Fleet:
    """Return the fleet of one server. Without `inventory` names, tags and the devices seen last as
    long as the process; with `shared` names and tags are those of all servers, with `away` the
    devices that were seen, too."""
    known = Inventory(inventory, shared, away)
    labels = Labels(known, agents)
    return Fleet(agents, OwnRows(agents, known, labels), labels)


class OwnRows:
    """The `Rows` of the devices of `agents`."""

    def __init__(self, agents: OwnAgents, inventory: Inventory, labels: Labels) -> None:
        self._agents = agents
        self._inventory = inventory
        self._labels = labels
        self._broadcast = Broadcast(inventory)
        self._merge = Merge()
        agents.follow(self._lose)
        inventory.follow(self._on_record)

    def _on_record(self, news: RecordNews) -> None:
        self._broadcast.touch(news.device_id)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Collect the devices that are seen for the block, and at its end all that is left."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._collect_for_ever)
                nursery.start_soon(self._labels.run)
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
        async def collect(agent: OwnAgent) -> None:
            take = partial(self._inventory.take, node=agent.node)
            await agent.collect(take, everything=everything)
            if agent not in self._all():
                self._inventory.lose(agent.node)  # it has ended with this answer

        await gather(self._all(), collect)

    async def run(self) -> NoReturn:
        """Ask for changes for ever, while one watches. A cancel ends all subscriptions."""
        try:
            while True:
                await self._broadcast.wait_watched()
                await gather(self._all(), self._look_at)
                await self._broadcast.tell(self._merge.flush())
                await trio.sleep(LOOK_S)
        finally:
            self._broadcast.close()

    async def _look_at(self, agent: OwnAgent) -> None:
        try:
            found = await agent.changes()
        except NoAnswer:
            self._merge.lose(agent.node)
            return
        if agent in self._all():  # else it has ended with this answer
            for changes in found:
                self._merge.take(agent.node, changes)

    def _all(self) -> Sequence[OwnAgent]:
        return self._agents.all()

    def _lose(self, node: str) -> None:
        self._merge.lose(node)
        self._inventory.lose(node)

    @property
    def is_full(self) -> bool:
        """Whether the number of those that watch is at its bound."""
        return self._broadcast.is_full

    def watching(
        self, wanted: Wanted | None = None, offset: int = 0
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events for the block, of all devices."""
        return self._broadcast.watching()

    async def ids(self, wanted: Wanted) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of the rows that are wanted; nothing is missing."""
        return [device_id for _, device_id in (await self.keys(wanted)).keys], ()

    async def all(self, wanted: Wanted) -> list[Row]:
        """Return all rows among which the wanted ones are; takes them a few at a time."""
        inventory = self._inventory
        seen = await self._seen(None) if wanted.includes_connected else ()
        rows = [inventory.live_row(one.device_id, one.facts) for one in seen]
        away = await inventory.away(self._agents.is_connected) if wanted.includes_away else []
        return [*rows, *away]

    async def tag_counts(self) -> TagCounts:
        """Return how many devices have each tag."""
        return await self._inventory.tag_counts(self._agents.is_connected)

    async def _seen(self, device_ids: DeviceIds) -> Collection[SeenRow]:
        """Return one row for each device: that of the agent to which it connected last."""
        answers = await gather(self._all(), lambda agent: agent.rows(device_ids))
        if len(answers) == 1:  # as in one process: the rows are many
            return answers[0]
        newest: dict[str, SeenRow] = {}
        for seen in (seen for rows in answers for seen in rows):
            last = newest.get(seen.device_id)
            if last is None or seen.came_ns >= last.came_ns:
                newest[seen.device_id] = seen
        return newest.values()

    async def of(self, device_ids: Sequence[str]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return some devices: of those that have just gone their last rows."""
        seen = {one.device_id: one.facts for one in await self._seen(device_ids)}
        if not all(one in seen and seen[one]["connected"] for one in device_ids):
            await self._collect()  # how they have gone
        inventory = self._inventory
        for one in [one for one, facts in seen.items() if not facts["connected"]]:
            if inventory.is_newer(one):
                del seen[one]
        rows = [
            inventory.live_row(one, seen[one]) if one in seen else inventory.row(one)
            for one in device_ids
            if one in seen or inventory.knows(one)
        ]
        return rows, ()

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted."""
        return await page_of(await self.all(wanted), wanted)

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted."""
        return await keys_of(await self.all(wanted), wanted)

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory."""
        rows, _ = await self.of([device_id])  # collects its end, which would bring it back
        if not rows:
            return GONE
        if rows[0]["connected"] or self._agents.is_connected(device_id):
            return IS_CONNECTED
        outcome = await self._inventory.forget(device_id, is_known=True)
        await self._labels.tell()
        return outcome
