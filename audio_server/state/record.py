"""The content of the state file for each device."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from audio_server.device.entry import Entry


@dataclass(slots=True)
class Record:
    """By device: its mode, its name, its entry in the inventory, and its tags. Mode 0, no name
    (None), no entry (None) and no tags stand for rows that are deleted."""

    modes: OrderedDict[str, int] = field(default_factory=OrderedDict)
    names: dict[str, str | None] = field(default_factory=dict)
    entries: dict[str, Entry | None] = field(default_factory=dict)
    tags: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.modes or self.names or self.entries or self.tags)

    def over(self, older: Record) -> Record:
        """These, and those of the older ones that they say nothing of."""
        modes = OrderedDict(older.modes)
        modes.update(self.modes)
        return Record(
            modes,
            {**older.names, **self.names},
            {**older.entries, **self.entries},
            {**older.tags, **self.tags},
        )

    def without_blanks(self) -> Record:
        """Those that take room."""
        return Record(
            OrderedDict((device_id, mode) for device_id, mode in self.modes.items() if mode),
            {device_id: name for device_id, name in self.names.items() if name is not None},
            {device_id: entry for device_id, entry in self.entries.items() if entry is not None},
            {device_id: tags for device_id, tags in self.tags.items() if tags},
        )
