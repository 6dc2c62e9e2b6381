"""The cluster of one machine: nodes in this process, or in others that are asked over sockets.

Each node has a `LocalCluster`, a view of the one `Hub`. No method of it waits, except for a file;
in a server of one process a claim is answered without a yield.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from math import inf
from typing import Any, NamedTuple

from audio_server.cluster.feeds import Feeds
from audio_server.cluster.interface import Claimed, Document, Listener, NoAnswer
from audio_server.cluster.questions import Asked, Questions
from audio_server.device.attachment import Superseded
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.mode_store import MemoryModeStore, ModeStore

LEFT_MAX = 10_000
"""Devices that are not connected, of which the last node is known."""


class Owner(NamedTuple):
    """The node of a device, since when, and the arrival of the newest call that was claimed for."""

    node: str
    epoch: int
    newest: int


class Member(NamedTuple):
    """A node that has joined."""

    listener: Listener
    questions: Questions


class Hub:
    """The state that nodes share, and their `Nodes`. The clock is in nanoseconds, one for all.

    The owner of a device that is connected is never forgotten.
    """

    def __init__(
        self,
        store: ModeStore | None = None,
        meter: Instrumentation | None = None,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.store = MemoryModeStore() if store is None else store
        self.clock_ns = clock_ns
        self.feeds = Feeds()
        self._meter = meter or Instrumentation()
        self._members: dict[str, Member] = {}
        self._held: dict[str, Owner] = {}
        self._left: OrderedDict[str, Owner] = OrderedDict()
        self._documents: dict[str, tuple[Document, Mapping[str, bytes]]] = {}
        self._offers: list[Mapping[str, bytes]] = []

    def joined(self) -> AbstractAsyncContextManager[None]:
        """Be a part of a larger cluster for the block; of none here."""
        return nullcontext()

    # Nodes

    def owner(self, device_id: str) -> str | None:
        """Return the node that has a device, or had it last."""
        found = self._find(device_id)
        return None if found is None else found.node

    def is_connected(self, device_id: str) -> bool:
        """Whether a node has a device now."""
        return device_id in self._held

    def join(self, node: str, listener: Listener) -> None:
        """Add a node. Its name was never used before."""
        self._members[node] = Member(listener, Questions())

    def leave(self, node: str) -> None:
        """Remove a node; its devices are at no node until they are claimed."""
        self._members.pop(node).questions.end()
        self.feeds.leave(node)
        for device_id in [key for key, owner in self._held.items() if owner.node == node]:
            self.release(node, device_id)

    async def ask(
        self, node: str, what: str, within_s: float, *, is_ever_obeyed: bool = False, **facts: Any
    ) -> list[Any]:
        """Ask a node; see `Nodes`. With `is_ever_obeyed` it acts however late it reads this."""
        if (member := self._members.get(node)) is None:
            raise NoAnswer
        until = inf if is_ever_obeyed else self.clock_ns() / 1e9 + within_s
        asked = Asked(what, facts, within_s, until)
        return await member.questions.ask(asked, member.listener.asked)

    def tell(self, node: str, what: str) -> None:
        """Give a node an order, if it is there."""
        if (member := self._members.get(node)) is not None:
            member.listener.told(what)

    # Ownership and modes

    def claim(self, node: str, device_id: str, arrived_ns: int) -> Claimed:
        """Grant a claim, or raise `Superseded`; see `Cluster`."""
        self.refuse_older(node, device_id, arrived_ns)
        held, last = self._held.get(device_id), self._find(device_id)
        if last is None:
            owner = Owner(node, arrived_ns, arrived_ns)
        elif held is not None and held.node == node:
            owner = held if arrived_ns <= held.newest else held._replace(newest=arrived_ns)
        else:
            newest = max(arrived_ns, last.newest)
            owner = Owner(node, max(newest, last.epoch + 1), newest)
        if owner is not held:
            self._held[device_id] = owner
            self._left.pop(device_id, None)
        if last is not None and last.node != node:
            self._move(device_id, last.node, owner.epoch)
        return Claimed(owner.epoch, self.store.get(device_id))

    def refuse_older(self, node: str, device_id: str, arrived_ns: int) -> None:
        """Raise `Superseded` for a call that is older than the newest one at another node."""
        last = self._find(device_id)
        if last is not None and last.node != node and arrived_ns < last.newest:
            raise Superseded(Superseded.ELSEWHERE)

    def is_here(self, device_id: str) -> bool:
        """Whether `claim` may be asked; else `claim_for_machine`. Always: there is no other
        machine."""
        return True

    async def claim_for_machine(self, node: str, device_id: str, arrived_ns: int) -> Claimed:
        """Have the device, and grant it to a node. Raises `Superseded`."""
        return self.claim(node, device_id, arrived_ns)

    def _move(self, device_id: str, loser: str, epoch: int) -> None:
        self._meter.device_back()  # one that comes back to the same node is counted there
        if (member := self._members.get(loser)) is not None:
            member.listener.moved(device_id, epoch)

    def release(self, node: str, device_id: str) -> None:
        """Note that a device is not connected to a node."""
        owner = self._held.get(device_id)
        if owner is not None and owner.node == node:
            self._keep_left(device_id, self._held.pop(device_id))

    def _keep_left(self, device_id: str, owner: Owner) -> None:
        self._left[device_id] = owner
        if len(self._left) > LEFT_MAX:
            self._left.popitem(last=False)

    def put_mode(self, node: str, device_id: str, epoch: int, mode: int) -> None:
        """Write a mode, unless the node's epoch is over."""
        owner = self._find(device_id)
        if owner is not None and (owner.node, owner.epoch) == (node, epoch):
            self.store.put(device_id, mode)

    def _find(self, device_id: str) -> Owner | None:
        return self._held.get(device_id) or self._left.get(device_id)

    # Documents

    def put_document(self, key: str, data: bytes, blobs: Mapping[str, bytes]) -> None:
        """Put a new version, and the blobs that it names, by their SHA-256, in place of others."""
        version = self.document(key).version + 1
        self._documents[key] = Document(version, data), blobs

    def document(self, key: str) -> Document:
        """Return the newest version of a document."""
        return self._documents[key][0] if key in self._documents else Document(0, b"")

    @contextmanager
    def offering(self, blobs: Mapping[str, bytes]) -> Iterator[None]:
        """Have nodes find blobs for the block."""
        self._offers.append(blobs)
        try:
            yield
        finally:
            self._offers = [one for one in self._offers if one is not blobs]

    def blob(self, sha: str) -> bytes:
        """Return a blob of the newest version of a document, or one that is offered. Raises
        `KeyError`."""
        for blobs in (*(blobs for _, blobs in self._documents.values()), *self._offers):
            if sha in blobs:
                return blobs[sha]
        raise KeyError(sha)


class LocalCluster:
    """A `Cluster`: the view of a node in the process of the hub. Each has a name of its own."""

    def __init__(self, hub: Hub, node: str = "local") -> None:
        self._hub = hub
        self.node = node

    @property
    def is_durable(self) -> bool:
        """Whether modes are in more than memory."""
        return self._hub.store.is_durable

    @asynccontextmanager
    async def joined(self, listener: Listener) -> AsyncIterator[None]:
        """Be a node for the block."""
        self._hub.join(self.node, listener)
        try:
            yield
        finally:
            self._hub.leave(self.node)

    async def claim(self, device_id: str, waited_s: float) -> Claimed:
        """Have a device; does not yield."""
        return self._hub.claim(self.node, device_id, self._hub.clock_ns() - int(waited_s * 1e9))

    def release(self, device_id: str) -> None:
        """Let a device go."""
        self._hub.release(self.node, device_id)

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        """Write a mode."""
        self._hub.put_mode(self.node, device_id, epoch, mode)

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last mode is in the store."""
        await self._hub.store.wait_durable(device_id)

    async def document(self, key: str) -> Document:
        """Return the newest version of a document."""
        return self._hub.document(key)

    async def blob(self, sha: str) -> bytes:
        """Return a blob of the newest version of a document. Raises `KeyError`."""
        return self._hub.blob(sha)
