"""One interface to the state that nodes share. A node is a process that serves devices.

A device is at one node at a time: the one at which its newest call has arrived. The time in which
a node has a device without a break has a number, the epoch; a later one is larger. It fences: a
write with an epoch that is over changes nothing, so a node that has lost a device without knowing
harms nothing but the calls that the device has left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias


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


class ClusterSlow(ClusterDown):
    """The cluster did not answer in time, or was lost before it did: what was asked for may still
    be done."""


class Conflict(Exception):
    """A document has another version than the one that was to be replaced."""


class NoAnswer(Exception):
    """The node is gone, has failed to answer, or is asked too much."""


class TooLate(NoAnswer):
    """The node is there, but does not answer in time."""


class Incompatible(NoAnswer):
    """The node is of another version: it does not know the question, or its answer is not
    understood."""


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

    def refuse(self) -> None:
        """End the answer to a question that only another version knows."""

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

    fed: Callable[[str, int, Any], None] = _ignore
    """Data of a feed that the node follows, by the feed's key, with its number (`FeedClient`)."""


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


RecordResult: TypeAlias = Literal["done", "gone", "full", "connected", "there"]
"""The outcome of a change of a record. Only with `done` has it changed: `gone` stands for a device
that is not known, `full` for one that would have too many tags, `there` for one with a token."""


class RecordNews(NamedTuple):
    """A record has changed. `is_late` is set where the change itself may be long past: a node that
    begins reads all records."""

    device_id: str
    tags_before: tuple[str, ...]
    is_renamed: bool
    is_token_changed: bool = False
    is_forgotten: bool = False
    is_late: bool = False


class Records(Protocol):
    """Names and tags of devices, connected or not, as all nodes have them.

    A change returns when it is kept. It raises `ClusterDown` at once where that cannot be, and
    `ClusterSlow` where it is not known. `is_known` says whether the node knows the device: the
    cluster may know it, too. Of two changes of a name the last one counts.
    """

    @property
    def names(self) -> Mapping[str, str | None]:
        """The name of each device that has one."""

    @property
    def tags(self) -> Mapping[str, tuple[str, ...]]:
        """The tags of each device that has some, in the order of the alphabet."""

    def follow(self, changed: Callable[[RecordNews], None]) -> None:
        """Have `changed` called after each change, of any node."""

    async def rename(self, device_id: str, name: str | None, *, is_known: bool) -> RecordResult:
        """Give a device a name, or take it away; `done` or `gone`."""

    async def tag(
        self,
        device_ids: Mapping[str, bool],
        add: Collection[str],
        remove: Collection[str],
        most: int,
    ) -> Mapping[str, RecordResult]:
        """Give devices tags and take others away, up to `most` for one; `device_ids` says which of
        them the node knows. `done`, `gone` or `full` for each. A fault may leave some as they are,
        and a cancel leaves those that follow."""

    async def forget(self, device_id: str, *, is_known: bool) -> RecordResult:
        """Forget the name, the tags and the mode of a device; `done`, `gone` or `connected`."""


class Documents(Protocol):
    """What all nodes read."""

    async def document(self, key: str) -> Document:
        """Return the newest version; version 0, and no data, of one that was never put.

        Raises `ClusterDown`.
        """

    async def blob(self, sha: str) -> bytes:
        """Return the data of that SHA-256, as a document names it. Raises `ClusterDown`, and
        `KeyError` if the newest version of no document has it."""


class FeedClient(Protocol):
    """Feeds as a node sees them: data that is of use at once or never.

    Numbers of data begin with 0 when the node begins to follow, for data that says how things are
    then, and again after data that was lost because the node was too slow. All types are those of
    msgpack.
    """

    def follow(self, key: str) -> None:
        """Be given the data of a feed from now on."""

    def unfollow(self, key: str) -> None:
        """Be given no more, but for those on their way."""

    def heard(self, key: str, number: int, note: Any) -> None:
        """Confirm all data up to a number; the feed is given the note."""


class Nodes(Protocol):
    """All nodes, as they are seen by a process that asks them."""

    def offering(self, blobs: Mapping[str, bytes]) -> AbstractContextManager[None]:
        """Have nodes find blobs, by their SHA-256, for the block, beside those of documents."""

    def owner(self, device_id: str) -> str | None:
        """Return the node that has a device, or had it last."""

    def is_connected(self, device_id: str) -> bool:
        """Whether a node has a device now."""

    async def ask(self, node: str, what: str, within_s: float, **facts: Any) -> list[Any]:
        """Return the parts of a node's answer, if there is never a silence of `within_s` before it
        is whole.

        Raises `TooLate` and `NoAnswer`. A question that is read later than `within_s` is not
        answered, so an action that was reported as failed is not performed then. A cancel leaves
        the question behind, and it may still be obeyed.
        """
