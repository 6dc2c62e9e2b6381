"""Names that operators give to devices."""

from __future__ import annotations

from typing import Protocol

from audio_server.names import BadName, clean_name

__all__ = ["NAME_MAX", "BadName", "MemoryNames", "NameStore", "checked_name"]

NAME_MAX = 64
"""In characters."""


class NameStore(Protocol):
    """Remembers the name of every device that has one. Neither `get` nor `put` blocks."""

    def get(self, device_id: str) -> str | None:
        """The name last put."""

    def put(self, device_id: str, name: str | None) -> None:
        """Remember a name; None forgets it."""

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last name is durable, or as durable as the store can make it."""


class MemoryNames:
    """Names kept until the process ends."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def get(self, device_id: str) -> str | None:
        """The name last put."""
        return self._names.get(device_id)

    def put(self, device_id: str, name: str | None) -> None:
        """Remember a name."""
        if name is None:
            self._names.pop(device_id, None)
        else:
            self._names[device_id] = name

    async def wait_durable(self, device_id: str) -> None:
        """Return at once: memory is the only store."""


def checked_name(text: str) -> str:
    """Return a name as it is kept. Raises `BadName`."""
    name = clean_name(text)
    if len(name) > NAME_MAX:
        raise BadName(f"a name has at most {NAME_MAX} characters")
    return name
