"""The durable inventory: names, tags and entries of devices, in the file of the modes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from audio_server.device.entry import Entry
from audio_server.state.record import Record


class _Store(Protocol):
    @property
    def memory(self) -> Record: ...

    def change(self) -> Record: ...

    def put(self, device_id: str, mode: int) -> None: ...

    async def wait_names_durable(self, device_id: str) -> None: ...


class FileInventory:
    """The `InventoryStore` on the file of `store`."""

    def __init__(self, store: _Store) -> None:
        self._store = store

    @property
    def names(self) -> Mapping[str, str | None]:
        """The name of each device that has one."""
        return self._store.memory.names

    @property
    def tags(self) -> Mapping[str, tuple[str, ...]]:
        """The tags of each device that has some."""
        return self._store.memory.tags

    @property
    def entries(self) -> Mapping[str, Entry | None]:
        """The entry of each device that is known; another object once the file has been read."""
        return self._store.memory.entries

    def put_name(self, device_id: str, name: str | None) -> None:
        """Remember a name, and have it written soon."""
        if name is None:
            self._store.memory.names.pop(device_id, None)
        else:
            self._store.memory.names[device_id] = name
        self._store.change().names[device_id] = name

    def put_tags(self, device_id: str, tags: tuple[str, ...]) -> None:
        """Remember all tags of a device, and have them written soon."""
        if tags:
            self._store.memory.tags[device_id] = tags
        else:
            self._store.memory.tags.pop(device_id, None)
        self._store.change().tags[device_id] = tags

    def put_entry(self, device_id: str, entry: Entry | None) -> None:
        """Remember an entry, and have it written soon; None forgets it."""
        if entry is None:
            self._store.memory.entries.pop(device_id, None)
        else:
            self._store.memory.entries[device_id] = entry
        self._store.change().entries[device_id] = entry

    def forget(self, device_id: str) -> None:
        """Forget a device: its entry, its name, its tags and its mode."""
        self.put_entry(device_id, None)
        self.put_name(device_id, None)
        self.put_tags(device_id, ())
        self._store.put(device_id, 0)

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last name and tags are durable, or cannot be."""
        await self._store.wait_names_durable(device_id)
