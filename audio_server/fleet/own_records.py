"""The names and tags of a server that shares them with no other, in the store of its inventory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import trio

from audio_server.cluster.interface import RecordNews, RecordResult
from audio_server.fleet.inventory_store import InventoryStore

BATCH = 100
"""Devices between two checkpoints."""


class OwnRecords:
    """`Records` of one server. A store that fails keeps them in memory: no change is refused."""

    def __init__(self, store: InventoryStore) -> None:
        self._store = store
        self._followers: list[Callable[[RecordNews], None]] = []

    @property
    def names(self) -> Mapping[str, str | None]:
        """The name of each device that has one."""
        return self._store.names

    @property
    def tags(self) -> Mapping[str, tuple[str, ...]]:
        """The tags of each device that has some."""
        return self._store.tags

    def follow(self, changed: Callable[[RecordNews], None]) -> None:
        """Have `changed` called after each change."""
        self._followers.append(changed)

    def _tell(self, news: RecordNews) -> None:
        for changed in self._followers:
            changed(news)

    async def rename(self, device_id: str, name: str | None, *, is_known: bool) -> RecordResult:
        """Give a device a name, or take it away."""
        if not is_known:
            return "gone"
        self._store.put_name(device_id, name)
        self._tell(RecordNews(device_id, self.tags.get(device_id, ()), is_renamed=True))
        await self._store.wait_durable(device_id)
        return "done"

    async def tag(
        self,
        device_ids: Mapping[str, bool],
        add: Collection[str],
        remove: Collection[str],
        most: int,
    ) -> Mapping[str, RecordResult]:
        """Give devices tags and take others away."""
        results: dict[str, RecordResult] = {}
        for number, (device_id, is_known) in enumerate(device_ids.items(), 1):
            results[device_id] = self._tag(device_id, add, remove, most) if is_known else "gone"
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        for device_id in results:
            await self._store.wait_durable(device_id)
        return results

    def _tag(
        self, device_id: str, add: Collection[str], remove: Collection[str], most: int
    ) -> RecordResult:
        before = self.tags.get(device_id, ())
        tags = {*before, *add}.difference(remove)
        if len(tags) > most:
            return "full"
        if tags != set(before):
            self._store.put_tags(device_id, tuple(sorted(tags)))
            self._tell(RecordNews(device_id, before, is_renamed=False))
        return "done"

    async def forget(self, device_id: str, *, is_known: bool) -> RecordResult:
        """Forget the name, the tags and the mode of a device."""
        if not is_known:
            return "gone"
        before = RecordNews(device_id, self.tags.get(device_id, ()), False, is_forgotten=True)
        self._store.forget(device_id)
        self._tell(before)
        await self._store.wait_durable(device_id)
        return "done"
