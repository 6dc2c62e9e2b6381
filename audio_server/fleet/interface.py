"""The values that fleets give and take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

Row: TypeAlias = dict[str, Any]
"""A device in types of JSON; `snapshot.facts` documents the keys."""

Event: TypeAlias = dict[str, Any]
"""An event of a device in types of JSON."""


class Outcome(NamedTuple):
    """The outcome of an action on a device."""

    result: Literal["done", "gone", "failed"]
    """`gone`: no such device is connected."""

    reason: str | None = None
    """The reason of a failure, in one line."""


Outcomes: TypeAlias = Mapping[str, Outcome]
"""By the id of each device."""


class TagListener(Protocol):
    """Receives changes of tags."""

    def retag(self, device_id: str) -> None:
        """The tags of a device are others, by a change of this server or of another node. Called in
        the midst of it: must return at once, and raise nothing."""

    async def settle(self) -> None:
        """Return when all changes so far have had their effect. Called before an operator that
        changed tags is answered."""


class TagCount(NamedTuple):
    """How many devices have a tag, and how many of them are connected."""

    known: int
    connected: int


class TagCounts(NamedTuple):
    """All tags, in the order of the alphabet, and the names of nodes that gave no answer: their
    devices count as not connected."""

    tags: Mapping[str, TagCount]
    missing: Sequence[str] = ()


class NoListener:
    """A `TagListener` of a server where no group has settings."""

    def retag(self, device_id: str) -> None:
        """Do nothing."""

    async def settle(self) -> None:
        """Return at once."""


class OutcomesOfNodes(dict[str, Outcome]):
    """`Outcomes` of several nodes. `missing` are the names of those whose devices are left out, for
    they gave no answer."""

    missing: Sequence[str] = ()


def missing_of(outcomes: Outcomes) -> Sequence[str]:
    """Return the names of the nodes that are missing in outcomes."""
    return outcomes.missing if isinstance(outcomes, OutcomesOfNodes) else ()


class NotReached(Exception):
    """Nothing can be said of a device: a node that may have it gives no answer. `str()` is the
    reason."""


IS_CONNECTED = Outcome("failed", "it is connected; only devices that are away can be forgotten")
DONE = Outcome("done")
GONE = Outcome("gone")


class NotKept(Exception):
    """A change cannot be kept now; `str()` is the reason in one line."""
