"""The content of the state file for each device."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """By device: its mode, and its name. Mode 0 without a name (None) stands for a row that is
    deleted."""

    modes: OrderedDict[str, int] = field(default_factory=OrderedDict)
    names: dict[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.modes or self.names)

    def over(self, older: Record) -> Record:
        """These, and those of the older ones that they say nothing of."""
        modes = OrderedDict(older.modes)
        modes.update(self.modes)
        return Record(modes, {**older.names, **self.names})

    def without_blanks(self) -> Record:
        """Those that take room."""
        modes = OrderedDict((device_id, mode) for device_id, mode in self.modes.items() if mode)
        named = {device_id: name for device_id, name in self.names.items() if name is not None}
        return Record(modes, {**named})
