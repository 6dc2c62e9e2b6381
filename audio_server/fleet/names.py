"""What people call the devices."""

from __future__ import annotations

from typing import Protocol

NAME_MAX = 64
"""In characters."""


class BadName(ValueError):
    """This is no name; says in one line why. The fault of whoever gave it."""


class NameStore(Protocol):
    """Remembers the name of every device that has one. Neither `get` nor `put` blocks."""

    def get(self, device_id: str) -> str | None:
        """The name last put."""

    def put(self, device_id: str, name: str | None) -> None:
        """Remember a name; None forgets it."""

    async def wait_durable(self, device_id: str) -> None:
        """Return when what was put for the device is as safe as it gets."""


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
        """What is put is kept at once."""


def checked_name(text: str) -> str:
    """A name without blanks round it. Raises `BadName`."""
    name = text.strip()
    if not name:
        raise BadName("a name has at least one character")
    if len(name) > NAME_MAX:
        raise BadName(f"a name has at most {NAME_MAX} characters")
    if not name.isprintable():
        raise BadName("a name has printable characters only")
    return name
