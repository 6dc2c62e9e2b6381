"""One interface to all devices, whichever process they are connected to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import trio

from audio_server.device.behaviour import Button

Row: TypeAlias = dict[str, Any]
"""A device as JSON has it; `glance.facts` says what is in it."""

Event: TypeAlias = dict[str, Any]
"""Something that happened to a device, as JSON has it."""


class Outcome(NamedTuple):
    """What became of something that was to be done to a device."""

    result: Literal["done", "gone", "failed"]
    """`gone`: no such device is connected."""

    reason: str | None = None
    """One line that says why it failed."""


Outcomes: TypeAlias = Mapping[str, Outcome]
"""By the id of each device."""

DONE = Outcome("done")
GONE = Outcome("gone")


class Fleet(Protocol):
    """All devices. `run` must be running. Each is known by its id."""

    @property
    def is_full(self) -> bool:
        """Whether nobody else may watch or follow."""

    async def run(self) -> None:
        """Keep those who watch and follow informed until cancelled, which ends all of it."""

    async def rows(self) -> Sequence[Row]:
        """All devices that are connected, as they are now."""

    async def row(self, device_id: str) -> Row | None:
        """One device, also one that was connected lately; None for one that is not known."""

    def watching(self) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Server-sent events: `all` with all rows, then `changes`, with those that have changed
        and the ids of devices that are gone. Of very many rows `all` has the first, and `changes`
        right after it the others. They end with `run`, and for whoever does not take them."""

    async def events(self, device_id: str | None) -> Sequence[Event]:
        """What has happened lately to one device or to all, oldest first."""

    def following(
        self, device_id: str | None
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[Event]]:
        """What happens from now on, to one device or to all. It ends as `watching` does."""

    async def press(self, device_id: str, button: Button) -> Outcome:
        """Press a button as the device itself would; returns when that has been applied."""

    async def play(self, device_ids: Sequence[str] | None, clip: int) -> Outcomes:
        """Play the clip of mode `clip` now, on some devices or on all (None) that are connected.
        Their modes stay. A cancel leaves undone what is not done yet."""

    async def stop(self, device_ids: Sequence[str] | None) -> Outcomes:
        """Cut what plays, and what would follow. Modes stay. A cancel is as for `play`."""

    async def rename(self, device_id: str, name: str | None) -> Outcome:
        """Give a device a name, or take it away. Raises `BadName` for what cannot be one."""
