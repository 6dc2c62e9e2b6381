"""The inventory: every device that was ever seen, with its name, its tags and its history.

It is bounded: past `ENTRIES_MAX` devices, those are given up that are not connected and have
neither name nor tag (`expendable`). The store keeps it; without one it ends with the process. Names
and tags may be those of a cluster, which all its nodes share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import trio

from audio_server.cluster.interface import ClusterDown, ClusterSlow, RecordNews, Records
from audio_server.device.entry import Entry
from audio_server.fleet.expendable import Expendable, network_of
from audio_server.fleet.interface import (
    DONE,
    GONE,
    IS_CONNECTED,
    NotKept,
    Outcome,
    Row,
    TagCount,
    TagCounts,
)
from audio_server.fleet.inventory_store import InventoryStore, MemoryInventory
from audio_server.fleet.names import TAGS_MAX, BadName, checked_tag
from audio_server.fleet.own_records import OwnRecords
from audio_server.fleet.shared_away import SharedAway
from audio_server.fleet.sightings import Sighting

if TYPE_CHECKING:
    from audio_server.cluster.inventory import SharedInventory

ENTRIES_MAX = 50_000
"""Devices that are remembered, besides those that are connected, named or tagged: a device takes
about half a kilobyte of memory and 100 bytes of disk."""

BATCH = 100
"""Devices between two checkpoints."""

_LEDS = 6
_NEVER = Entry(0.0, 0.0, None, 0, 0, 0, 0, None)


class _Here(NamedTuple):
    node: str
    came_ns: int


class Inventory:
    """All devices that are known, of one node or of several."""

    def __init__(
        self,
        store: InventoryStore | None = None,
        records: Records | None = None,
        shared: SharedInventory | None = None,
    ) -> None:
        self._store: InventoryStore = MemoryInventory() if store is None else store
        self._records: Records = OwnRecords(self._store) if records is None else records
        self._followers: list[Callable[[RecordNews], None]] = []
        self._records.follow(self._on_record)
        self._here: dict[str, _Here] = {}
        self._expendable = Expendable()
        self._entries: Mapping[str, Entry | None] = {}
        self._tagged: dict[str, dict[str, None]] = {}
        self._follow()
        self._shared = None if shared is None else SharedAway(shared, self)

    def _follow(self) -> None:
        """Take in the entries of the store, again if they are others by now: a file that could not
        be read at the start has been read."""
        if self._entries is self._store.entries:
            return
        self._entries = self._store.entries
        self._expendable = Expendable()
        for device_id in self._entries:
            self._review(device_id)
        self._tagged = {}
        for device_id, tags in self._records.tags.items():
            for tag in tags:
                self._tagged.setdefault(tag, {})[device_id] = None

    # -- sightings

    def take(self, sightings: Iterable[Sighting], node: str = "") -> None:
        """Add the news of devices at a node."""
        self._follow()
        for sighting in sightings:
            self._take(sighting, node)
            if self._shared is not None:
                self._shared.saw(self._as_known(sighting))
        while len(self._entries) > ENTRIES_MAX:
            if (device_id := self._expendable.give_up()) is None:
                return
            self._store.put_entry(device_id, None)

    def _take(self, new: Sighting, node: str) -> None:
        device_id, here = new.device_id, self._here.get(new.device_id)
        is_newest = here is None or new.came_ns >= here.came_ns
        if new.is_here and is_newest:
            self._here[device_id] = _Here(node, new.came_ns)
        elif not new.is_here and here is not None and here.node == node and is_newest:
            del self._here[device_id]
        old = self._store.entries.get(device_id)
        if old is None and not (new.connections or new.is_here):
            return  # it was forgotten
        old = old or _NEVER._replace(first_seen=new.at)
        entry = Entry(
            old.first_seen,
            max(old.last_seen, new.at),
            new.address if is_newest else old.address,
            old.connections + new.connections,
            old.takes + new.takes,
            old.errors + new.errors,
            new.mode if is_newest else old.mode,
            (new.leds if is_newest else None) or old.leds,
            (new.firmware if is_newest else None) or old.firmware,
        )
        self._store.put_entry(device_id, entry)
        self._review(device_id)

    def _as_known(self, new: Sighting) -> Sighting:
        """Return news with the newest facts: a process may tell late of a device that it lost to
        another one."""
        entry, is_here = self._store.entries.get(new.device_id), new.device_id in self._here
        if entry is None:
            return new
        return new._replace(
            is_here=is_here,
            address=entry.address,
            mode=entry.mode,
            leds=entry.leds,
            firmware=entry.firmware,
        )

    async def finish(self) -> None:
        """Tell the other nodes all that is known: this one is about to end."""
        if self._shared is not None:
            await self._shared.finish()

    def lose(self, node: str) -> None:
        """The devices of a node are gone with it."""
        now = round(time.time(), 3)
        for device_id in [key for key, here in self._here.items() if here.node == node]:
            del self._here[device_id]
            entry = self._store.entries.get(device_id)
            if entry is not None:
                entry = entry._replace(last_seen=now)
                self._store.put_entry(device_id, entry)
                if self._shared is not None:
                    self._shared.left(device_id, entry)
            self._review(device_id)

    def _review(self, device_id: str) -> None:
        """Decide whether a device may be given up."""
        entry = self._store.entries.get(device_id)
        is_kept = device_id in self._here or self.is_named(device_id)
        if entry is None or is_kept:
            self._expendable.discard(device_id)
        else:
            self._expendable.add(device_id, network_of(entry.address))

    # -- queries

    def knows(self, device_id: str) -> bool:
        """Whether a device was ever seen, or has a name or tags."""
        is_away = self._shared is not None and self._shared.knows(device_id)
        return is_away or device_id in self._store.entries or self.is_named(device_id)

    def is_named(self, device_id: str) -> bool:
        """Whether a device has a name or tags."""
        return bool(self.name_of(device_id) or self.tags_of(device_id))

    def named(self) -> Iterable[str]:
        """Return the ids of all devices that have a name or tags."""
        return dict.fromkeys([*self._records.names, *self._records.tags])

    def own_entries(self) -> Iterable[tuple[str, Entry]]:
        """Return the facts of all devices that this node has seen."""
        return ((key, entry) for key, entry in self._store.entries.items() if entry is not None)

    def drop(self, device_id: str) -> None:
        """Forget a device that is away, and was forgotten while this node heard nothing."""
        news = RecordNews(device_id, self.tags_of(device_id), False, is_forgotten=True)
        for changed in self._followers:
            changed(news)
        self._drop(device_id)

    def _drop(self, device_id: str) -> None:
        self._store.put_entry(device_id, None)
        self._expendable.discard(device_id)

    @property
    def is_shared(self) -> bool:
        """Whether `away` gives the devices of all nodes."""
        return self._shared is not None and self._shared.is_up

    @property
    def here(self) -> Container[str]:
        """The ids of the devices that were connected when they were last collected."""
        return self._here.keys()

    def is_newer(self, device_id: str) -> bool:
        """Whether a device that has left this node was at another one since, or was forgotten."""
        if not self.is_shared or self._shared is None:
            return False
        return self._shared.was_elsewhere(device_id) or not self.knows(device_id)

    def _entry(self, device_id: str) -> Entry:
        entry = self._store.entries.get(device_id)
        if self._shared is not None:
            entry = self._shared.entry(device_id, entry)
        return entry or _NEVER

    def name_of(self, device_id: str) -> str | None:
        """Return the name of a device."""
        return self._records.names.get(device_id)

    def tags_of(self, device_id: str) -> tuple[str, ...]:
        """Return the tags of a device, in the order of the alphabet."""
        return self._records.tags.get(device_id, ())

    def tagged(self, tag: str) -> list[str]:
        """Return the ids of all devices that have a tag."""
        self._follow()
        return list(self._tagged.get(tag, ()))

    async def tag_counts(self, is_connected: Callable[[str], bool]) -> TagCounts:
        """Return how many devices have each tag, with checkpoints."""
        self._follow()
        counts: dict[str, TagCount] = {}
        for tag, device_ids in sorted(self._tagged.items()):
            counts[tag] = TagCount(len(device_ids), sum(map(is_connected, device_ids)))
            await trio.lowlevel.checkpoint()
        return TagCounts(counts)

    def facts(self, device_id: str, *, connected: bool) -> dict[str, Any]:
        """Return the part of a row that the inventory adds, beside the name."""
        entry = self._entry(device_id)
        return {
            "tags": list(self.tags_of(device_id)),
            "first_seen": entry.first_seen or None,
            "last_seen": None if connected else entry.last_seen or None,
            "connections": entry.connections,
            "takes": entry.takes,
            "errors_ever": entry.errors,
        }

    async def away(self, is_connected: Callable[[str], bool]) -> list[Row]:
        """Return the rows of all devices that are not connected, with checkpoints."""
        self._follow()
        rows = []
        known = list(dict.fromkeys([*self._store.entries, *self.named()]))
        if self._shared is not None:
            known = await self._shared.ids(known)
        for number, device_id in enumerate(known, 1):
            if not is_connected(device_id) and self.knows(device_id):
                rows.append(self.row(device_id))
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        return rows

    def live_row(self, device_id: str, facts: Row) -> Row:
        """Return the row of a device of which a snapshot gives the `facts`."""
        more = self.facts(device_id, connected=facts["connected"])
        return {"id": device_id, "name": self.name_of(device_id), **more, **facts}

    def row(self, device_id: str) -> Row:
        """Return the row of a device that is away."""
        entry = self._entry(device_id)
        leds = entry.leds and [f"#{entry.leds[at : at + 6]}" for at in range(0, 6 * _LEDS, 6)]
        return {
            "id": device_id,
            "name": self.name_of(device_id),
            **self.facts(device_id, connected=False),
            "connected": False,
            "address": entry.address,
            "worker": None,
            "node": None if self._shared is None else self._shared.node_of(device_id),
            "since": entry.last_seen,
            "mode": entry.mode,
            "mode_name": None,
            "state": "idle",
            "playing": None,
            "leds": [f"{led}ff" for led in leds] if leds else ["#00000000"] * _LEDS,
            "confirmed": leds,
            "last_press": None,
            "battery": None,
            "lead_ms": None,
            "round_trip_ms": None,
            "errors": entry.errors,
            "last_error": None,
            "corrections": 0,
            "streams": [],
            "firmware": entry.firmware,
        }

    # -- changes by an operator

    def follow(self, changed: Callable[[RecordNews], None]) -> None:
        """Have `changed` called after each change of a name or of tags."""
        self._followers.append(changed)
        self._records.follow(changed)

    async def rename(self, device_id: str, name: str | None, *, is_known: bool) -> Outcome:
        """Give a device a name, or take it away. Raises `NotKept`."""
        with _explained():
            result = await self._records.rename(device_id, name, is_known=is_known)
        return _OUTCOMES[result]

    async def tag(
        self,
        device_ids: Iterable[str],
        add: Iterable[str],
        remove: Iterable[str],
        knows: Callable[[str], bool],
    ) -> dict[str, Outcome]:
        """Give devices tags and take others away. Raises `BadName` and `NotKept`."""
        more, fewer = checked_tags(add), checked_tags(remove)
        known = {device_id: knows(device_id) for device_id in device_ids}
        with _explained():
            results = await self._records.tag(known, more, fewer, TAGS_MAX)
        return {device_id: _OUTCOMES[results[device_id]] for device_id in known}

    async def forget(self, device_id: str, *, is_known: bool) -> Outcome:
        """Forget a device that is away, with its name, tags and mode. Raises `NotKept`."""
        with _explained():
            result = await self._records.forget(device_id, is_known=is_known)
        return _OUTCOMES[result]

    def _on_record(self, news: RecordNews) -> None:
        """Keep up with a change, of this server or of another node."""
        device_id = news.device_id
        for tag in news.tags_before:
            self._tagged.get(tag, {}).pop(device_id, None)
            if not self._tagged.get(tag, True):
                del self._tagged[tag]
        for tag in self.tags_of(device_id):
            self._tagged.setdefault(tag, {})[device_id] = None
        if news.is_forgotten and device_id not in self._here:
            if self._shared is not None:
                self._shared.forget(device_id)
            self._drop(device_id)
        else:
            self._review(device_id)


_OUTCOMES = {
    "done": DONE,
    "gone": GONE,
    "full": Outcome("failed", f"it would have more than {TAGS_MAX} tags"),
    "connected": IS_CONNECTED,
}


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an error of the cluster into one for operators."""
    try:
        yield
    except ClusterSlow:
        raise NotKept("the cluster does not answer: the change may still be made") from None
    except ClusterDown:
        raise NotKept("the cluster is down: nothing has changed; try again") from None


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Return tags as they are kept. Raises `BadName`."""
    checked = list(dict.fromkeys(checked_tag(tag) for tag in tags))
    if len(checked) > TAGS_MAX:
        raise BadName(f"a device has at most {TAGS_MAX} tags")
    return checked
