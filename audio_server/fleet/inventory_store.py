"""Where names, tags and the facts about devices outlive their connections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from audio_server.device.entry import Entry


class InventoryStore(Protocol):
    """Remembers devices. No method but `wait_durable` waits."""

    @property
    def names(self) -> Mapping[str, str | None]:
        """The name of each device that has one."""

    @property
    def tags(self) -> Mapping[str, tuple[str, ...]]:
        """The tags of each device that has some."""

    @property
    def entries(self) -> Mapping[str, Entry | None]:
        """The entry of each device that is known, those seen last at the end. Another object once
        a file has been read that could not be read before."""

    def put_name(self, device_id: str, name: str | None) -> None:
        """Remember a name; None forgets it."""

    def put_tags(self, device_id: str, tags: tuple[str, ...]) -> None:
        """Remember all tags of a device."""

    def put_entry(self, device_id: str, entry: Entry | None) -> None:
        """Remember an entry; None forgets it."""

    def forget(self, device_id: str) -> None:
        """Forget a device: its entry, its name, its tags and its mode."""

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last name and tags are durable, or as durable as the store can make
        them."""


class MemoryInventory:
    """An inventory that is kept until the process ends."""

    def __init__(self) -> None:
        self.names: dict[str, str | None] = {}
        self.tags: dict[str, tuple[str, ...]] = {}
        self.entries: dict[str, Entry | None] = {}

    def put_name(self, device_id: str, name: str | None) -> None:
        """Remember a name."""
        if name is None:
            self.names.pop(device_id, None)
        else:
            self.names[device_id] = name

    def put_tags(self, device_id: str, tags: tuple[str, ...]) -> None:
        """Remember all tags of a device."""
        if tags:
            self.tags[device_id] = tags
        else:
            self.tags.pop(device_id, None)

    def put_entry(self, device_id: str, entry: Entry | None) -> None:
        """Remember an entry."""
        if entry is None:
            self.entries.pop(device_id, None)
        else:
            self.entries[device_id] = entry

    def forget(self, device_id: str) -> None:
        """Forget a device, but for its mode, which is in another store."""
        self.put_entry(device_id, None)
        self.put_name(device_id, None)
        self.put_tags(device_id, ())

    async def wait_durable(self, device_id: str) -> None:
        """Return at once: memory is the only store."""
