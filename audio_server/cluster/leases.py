"""Leases of the engine: names that one node at a time has, for as long as it wants and lives.

A node that wants a lease goes on with its work before it is answered, and while the engine is away.
Of several that have done so, the one that has wanted the lease for longest has it once the engine
is back; one that was cut off alone finds that another node has it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import trio

from audio_server.cluster.interface import ClusterDown
from audio_server.cluster.link import Session
from audio_server.cluster.scripts import LEASE, UNLEASE


class Holder(NamedTuple):
    """The node that has a lease, and its name for people."""

    node: str
    name: str


class Lease:
    """One lease, as a node knows it. `changed` is called with each new holder, None for nobody that
    is known; it must not wait."""

    def __init__(self, leases: Leases, key: str, changed: Callable[[Holder | None], None]) -> None:
        self.key = key
        self.holder: Holder | None = None
        self.wanted_since: float | None = None
        self._leases = leases
        self._changed = changed

    @property
    def is_here(self) -> bool:
        """Whether this node has it, as the engine has said."""
        return self.holder is not None and self.holder.node == self._leases.node

    def want(self) -> None:
        """Have it as soon as no other node does."""
        if self.wanted_since is None:
            self.wanted_since = trio.current_time()
            self._leases.ask(self)

    def drop(self) -> None:
        """Have it no longer."""
        if self.wanted_since is not None:
            self.wanted_since = None
            self._leases.give_up(self)

    def told(self, holder: Holder | None) -> None:
        """Take the news of who has it."""
        is_stale = holder is not None and holder.node == self._leases.node
        if is_stale and self.wanted_since is None:
            holder = None  # it was given up since
        if holder != self.holder:
            self.holder = holder
            self._changed(holder)


class Leases:
    """All leases that a node wants or follows; `name` is what people call the node."""

    def __init__(self, node: str) -> None:
        self.node = self.name = node
        self._leases: dict[str, Lease] = {}
        self._session: Session | None = None

    def make(self, key: str, changed: Callable[[Holder | None], None]) -> Lease:
        """Return the lease of that key, which is followed from now on."""
        lease = self._leases[key] = Lease(self, key, changed)
        return lease

    async def renew(self, session: Session) -> None:
        """Keep those that are wanted, and look at the others. Raises `ClusterDown`."""
        self._session = session
        for lease in self._leases.values():
            if lease.wanted_since is None:
                session.send_command(partial(_on_row, lease), "HMGET", lease.key, "n", "l")
            else:
                self.ask(lease)
        await session.commands([["TIME"]])  # answered after all of them

    def end(self) -> None:
        """The session is over: of no lease it is known who has it."""
        self._session = None
        for lease in self._leases.values():
            lease.told(None)

    def ask(self, lease: Lease) -> None:
        """Ask the engine for a lease, if it is there."""
        if self._session is not None and lease.wanted_since is not None:
            wanted_us = int((trio.current_time() - lease.wanted_since) * 1e6)
            args = self.node, self.name, wanted_us
            self._session.send(partial(_on_row, lease), LEASE, lease.key, *args)

    def give_up(self, lease: Lease) -> None:
        """Let others have a lease, at once if the engine is there."""
        if lease.is_here:
            lease.told(None)
        if self._session is not None:
            self._session.send(lambda _: None, UNLEASE, lease.key, self.node)

    async def give_all_up(self) -> None:
        """Let others have all of them. Raises `ClusterDown`."""
        for lease in self._leases.values():
            lease.drop()
        if self._session is not None:
            await self._session.commands([["TIME"]])

    def held(self, key: str, node: str, name: str) -> None:
        """A node has a lease, as the news of the engine say."""
        if (lease := self._leases.get(key)) is not None:
            lease.told(Holder(node, name))

    def freed(self, key: str, node: str) -> None:
        """That node has given a lease up."""
        lease = self._leases.get(key)
        if lease is not None and lease.holder is not None and lease.holder.node == node:
            lease.told(None)


def _on_row(lease: Lease, answer: Any) -> None:
    if isinstance(answer, ClusterDown):
        return
    node, name = (answer or [None, None])[:2]
    lease.told(None if node is None else Holder(_text(node), _text(name or b"")))


def _text(part: str | bytes) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else part
