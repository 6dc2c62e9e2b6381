"""Where the modes of devices outlive their connections."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

MODES_MAX: Final = 250_000
"""Devices that are not home, of which the mode is remembered; past it the modes that have not
changed for longest are forgotten. Any caller may invent ids: they must not use up memory."""


class ModeStore(Protocol):
    """Remembers the mode of every device. Neither `get` nor `put` may block; an error of `put` ends
    the device that it was for, an error of `get` the request that brings a device back."""

    @property
    def is_durable(self) -> bool:
        """Whether `wait_durable` may have to wait for the last `put`."""

    def get(self, device_id: str) -> int:
        """The mode last put for the device; 0 for one that is not known."""

    def put(self, device_id: str, mode: int) -> None:
        """Remember the mode of a device."""

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last `put` for the device is durable, or as durable as the store can make
        it. A press is acknowledged after that; without a reason to wait this does not yield."""


def remember(modes: OrderedDict[str, int], device_id: str, mode: int) -> str | None:
    """Note a mode; home takes no room. Returns the device that lost its mode for it, if any."""
    modes.pop(device_id, None)
    if mode:
        modes[device_id] = mode
    return modes.popitem(last=False)[0] if len(modes) > MODES_MAX else None


class MemoryModeStore:
    """Modes kept until the process ends."""

    is_durable = False

    def __init__(self) -> None:
        self._modes: OrderedDict[str, int] = OrderedDict()

    def get(self, device_id: str) -> int:
        """The mode last put, or 0."""
        return self._modes.get(device_id, 0)

    def put(self, device_id: str, mode: int) -> None:
        """Remember a mode."""
        remember(self._modes, device_id, mode)

    async def wait_durable(self, device_id: str) -> None:
        """Return at once: memory is the only store."""
