"""The names and tags of devices, as one server or all nodes keep them, changed by operators."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NoReturn, TypeAlias

import trio

from audio_server.cluster.interface import RecordNews
from audio_server.fleet.agents import gather
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.interface import NoListener, Outcome, Outcomes, TagListener
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.names import checked_name
from audio_server.fleet.workers import WorkerAgent, Workers

OwnAgent: TypeAlias = DevicesHere | WorkerAgent
OwnAgents: TypeAlias = DevicesHere | Workers
"""The agents of one server, which also report changes, and hear of those of records."""


class Labels:
    """Those of `inventory`. The `agents` hear of changes, for the histories of their devices;
    of those by other nodes while `run` is running."""

    def __init__(self, inventory: Inventory, agents: OwnAgents) -> None:
        self._inventory = inventory
        self._agents = agents
        self._news: deque[RecordNews] = deque()
        self._has_news = trio.Event()
        self._telling = trio.Lock()
        self._tag_listener: TagListener = NoListener()
        self.tags_of = inventory.tags_of
        self.tagged = inventory.tagged
        inventory.follow(self._on_record)

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, or take it away. Raises `BadName` for an unusable name, and
        `NotKept`."""
        checked = None if name is None else checked_name(name)
        is_known = self._knows(device_id)
        outcome = await self._inventory.rename(device_id, checked, is_known=is_known)
        await self.tell()
        return outcome

    async def tag(
        self, device_ids: Sequence[str], add: Sequence[str], remove: Sequence[str]
    ) -> Outcomes:
        """Give devices tags, and take others away. Raises `BadName` for an unusable tag, and
        `NotKept`, where some may have them already. A cancel is as for `Fleet.play`."""
        outcomes = await self._inventory.tag(device_ids, add, remove, self._knows)
        await self._tag_listener.settle()
        return outcomes

    @property
    def share_devices(self) -> bool:
        """Whether the devices that are away are those of all servers, too."""
        return self._inventory.is_shared

    def follow_tags(self, listener: TagListener) -> None:
        """Report each change of tags to `listener`, and to no other."""
        self._tag_listener = listener

    def _knows(self, device_id: str) -> bool:
        return self._agents.knows(device_id) or self._inventory.knows(device_id)

    # -- news

    def _on_record(self, news: RecordNews) -> None:
        if news.is_forgotten or (news.is_renamed and not news.is_late):
            self._news.append(news)
            self._has_news.set()
        if set(news.tags_before) != set(self._inventory.tags_of(news.device_id)):
            self._tag_listener.retag(news.device_id)

    async def run(self) -> NoReturn:
        """Tell agents of changes until cancelled."""
        while True:
            await self._has_news.wait()
            await self.tell()

    async def tell(self) -> None:
        """Return when agents have heard of all changes so far."""
        async with self._telling:
            self._has_news = trio.Event()
            while self._news:
                await self._tell(self._news.popleft())

    async def _tell(self, news: RecordNews) -> None:
        device_id, name = news.device_id, self._inventory.name_of(news.device_id)
        if news.is_forgotten:
            every: Sequence[OwnAgent] = self._agents.all()
            await gather(every, lambda agent: agent.forgotten(device_id))
        elif (at := self._agents.of(device_id)) is not None:
            await gather([at], lambda agent: agent.renamed(device_id, name))
