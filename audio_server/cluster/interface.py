"""One interface to the state that nodes share. A node is a process that serves devices.

A device is at one node at a time: the one at which its newest call has arrived. The time in which
a node has a device without a break has a number, the epoch; a later one is larger. It fences: a
write with an epoch that is over changes nothing, so a node that has lost a device without knowing
harms nothing but the calls that the device has left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class Claimed(NamedTuple):
    """The answer to a claim: the epoch in which the node has the device, and its mode."""

    epoch: int
    mode: int


class Document(NamedTuple):
    """Something small that all nodes read. Each version is larger than the one before it."""

    version: int
    data: bytes


class ClusterDown(Exception):
    """The cluster cannot be reached."""


class NoAnswer(Exception):
    """The node is gone, has failed to answer, or is asked too much."""


class TooLate(NoAnswer):
    """The node is there, but does not answer in time."""


class Question(Protocol):
    """A question to a node, which answers with any number of parts and then an end."""

    @property
    def what(self) -> str:
        """The name of the question."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The details, in types of msgpack."""

    def add(self, part: Any) -> None:
        """Give a part of the answer."""

    def end(self, *, is_answered: bool) -> None:
        """End the answer, which has failed otherwise."""

    async def wait_room(self) -> None:
        """Return when one more part may be given."""


def _ignore(*_: object) -> None:
    """Take no notice."""


def _refuse(question: Question) -> None:
    question.end(is_answered=False)


@dataclass(frozen=True, slots=True)
class Listener:
    """The node's end. Called in order, at any time while it is joined; none may wait."""

    moved: Callable[[str, int], None] = _ignore
    """Another node has that device, since that epoch. A hint: it may be late, or lost."""

    asked: Callable[[Question], None] = _refuse
    """A question, none that is too old to be answered."""

    told: Callable[[str], None] = _ignore
    """An order, by its name."""

    reclaimed: Callable[[str, int, int], None] = _ignore
    """A device that was let in without the cluster, or stayed while that was away, is the node's
    from now on in that epoch and in that mode. It was at no other node in between."""


class Cluster(Protocol):
    """The shared state as one node sees it. Methods that are not async never wait."""

    @property
    def is_durable(self) -> bool:
        """Whether `wait_durable` may have to wait for the last `put_mode`."""

    def joined(self, listener: Listener) -> AbstractAsyncContextManager[None]:
        """Be a node for the block. After its end or the process's the node has no device."""

    async def claim(self, device_id: str, waited_s: float) -> Claimed:
        """Have a device, for a call that arrived `waited_s` ago; the node that had it is told.

        Raises `Superseded` when another node has the device by a newer call. A node that has the
        device already keeps its epoch. A claim that is cancelled may have been granted: `release`.
        A cluster that cannot be reached never keeps a device away for long: it is let in, in epoch
        0 where none is known, and `reclaimed` or `moved` follows.
        """

    def release(self, device_id: str) -> None:
        """Let a device go that is no longer connected here; where it was last stays known."""

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        """Write the mode of a device, unless the epoch is over."""

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last `put_mode` for a device is where a later claim finds it, and as
        durable as the cluster can make it. Does not yield without a reason to wait."""


class Documents(Protocol):
    """What all nodes read."""

    async def document(self, key: str) -> Document:
        """Return the newest version; version 0, and no data, of one that was never put.

        Raises `ClusterDown`.
        """

    async def blob(self, sha: str) -> bytes:
        """Return the data of that SHA-256, as a document names it. Raises `ClusterDown`, and
        `KeyError` if the newest version of no document has it."""


class Nodes(Protocol):
    """All nodes, as they are seen by a process that asks them."""

    def offering(self, blobs: Mapping[str, bytes]) -> AbstractContextManager[None]:
        """Have nodes find blobs, by their SHA-256, for the block, beside those of documents."""

    def owner(self, device_id: str) -> str | None:
        """Return the node that has a device, or had it last."""

    async def ask(self, node: str, what: str, within_s: float, **facts: Any) -> list[Any]:
        """Return the parts of a node's answer, if there is never a silence of `within_s` before it
        is whole.

        Raises `TooLate` and `NoAnswer`. A question that is read later than `within_s` is not
        answered, so an action that was reported as failed is not performed then. A cancel leaves
        the question behind, and it may still be obeyed.
        """
