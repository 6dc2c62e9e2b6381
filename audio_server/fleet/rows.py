"""The rows of a fleet: one interface to those of one server, and of all nodes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Protocol

import trio

from audio_server.fleet.interface import Outcome, Row, TagCounts
from audio_server.fleet.listing import Keys, Page, Wanted


class Rows(Protocol):
    """Those of devices that are connected, and of the inventory; see `Fleet`."""

    @property
    def is_full(self) -> bool:
        """Whether the number of those that watch is at its bound."""

    async def run(self) -> None:
        """Serve those that watch until cancelled."""

    def at_work(self) -> AbstractAsyncContextManager[None]:
        """Collect the devices that are seen for the block, and at its end all that is left; answer
        other nodes."""

    async def collect_all(self) -> None:
        """Collect all that was seen of devices: the processes that have them are about to end."""

    async def all(self, wanted: Wanted) -> Sequence[Row]:
        """Return all rows among which the wanted ones are."""

    async def of(self, device_ids: Sequence[str]) -> tuple[Sequence[Row], Sequence[str]]:
        """Return these devices, also those that are away, and the names of missing nodes that may
        have others; unknown ids are left out."""

    async def listed(self, wanted: Wanted) -> Page:
        """Return the rows that are wanted. Those of several nodes always have a limit."""

    async def keys(self, wanted: Wanted) -> Keys:
        """Return the keys of the rows that are wanted."""

    async def tag_counts(self) -> TagCounts:
        """Return how many devices have each tag."""

    async def ids(self, wanted: Wanted) -> tuple[Sequence[str], Sequence[str]]:
        """Return the ids of all rows that are wanted, or somewhat more than the limit, and the
        names of missing nodes that may have others."""

    def watching(
        self, wanted: Wanted | None = None, offset: int = 0
    ) -> AbstractContextManager[trio.MemoryReceiveChannel[bytes]]:
        """Give server-sent events: `all` with all rows, then `changes`, with rows that changed
        and the ids of devices that are gone. Of very many rows `all` has the first, and `changes`
        right after it the others. `away` has rows of absent devices that an operator changed, and
        `forgotten` ids. They end with `run`, and for a subscriber that is too slow.

        Of several nodes there are the rows that are wanted, from a place of the list on, and no
        others: see `windows`."""

    async def forget(self, device_id: str) -> Outcome:
        """Remove a device from the inventory, with its name, tags and mode; fails for one that is
        connected. Raises `NotKept`."""
