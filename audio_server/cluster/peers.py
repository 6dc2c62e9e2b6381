"""The other nodes of a cluster, as a node asks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol

from audio_server.cluster.interface import Question

UNKNOWN_NODES = "cluster"
"""Stands among the missing nodes for those that nobody can name: the cluster cannot be reached."""


class NodeFacts(NamedTuple):
    """The facts of a node, as its last heartbeat has them."""

    name: str
    """For people: a host and a port. Unlike the node's id it may be that of a node before it."""

    devices: int = 0
    playing: int = 0
    failing: int = 0
    """Devices that cannot play."""

    is_draining: bool = False


class Around(NamedTuple):
    """The nodes of a cluster, without the one that looks."""

    living: Mapping[str, NodeFacts]
    """Those that can be asked, by their ids."""

    missing: Sequence[str]
    """Names of those that have been silent lately, or all where the cluster cannot be reached."""


class TimedQuestion(Question, Protocol):
    """A question of another node."""

    @property
    def left_s(self) -> float:
        """How long after it was read it may be obeyed, at most."""


class Peers(Protocol):
    """The other nodes. Nothing here waits longer than it is told to, whatever hangs."""

    @property
    def node(self) -> str:
        """The id of this node."""

    def joined(self, asked: Callable[[TimedQuestion], None]) -> AbstractAsyncContextManager[None]:
        """Tell the others of this node, and have `asked` called with their questions, for the
        block."""

    async def around(self, max_age_s: float = 0.0) -> Around:
        """Return the nodes as they were known `max_age_s` ago at most."""

    async def numbers(self, count: int) -> int:
        """Return the first of `count` numbers that no other node has. Raises `ClusterDown`."""

    def name_of(self, node: str) -> str:
        """Return the name of a node that was seen; its id where it has none."""

    async def homes(self, device_ids: Iterable[str]) -> Mapping[str, str]:
        """Return the id of the node that each device is connected to, as the cluster knows it;
        devices that are away are left out. Raises `ClusterDown`."""

    async def ask(
        self,
        node: str,
        what: str,
        within_s: float,
        hear: Callable[[Any], None] | None = None,
        **facts: Any,
    ) -> list[Any]:
        """Return the parts of a node's answer once it is whole, or call `hear` with each as it
        comes. Raises `TooLate` after `within_s`, and `NoAnswer`.

        The question has its deadline in the clock of the cluster: it is never obeyed after this
        has raised `TooLate`. After another error or a cancel it may still be, until then.
        """

    async def offer(self, blobs: Mapping[str, bytes]) -> None:
        """Have nodes find blobs by their SHA-256, for a while. Where the cluster cannot be reached
        they do not."""

    async def offered(self, sha: str) -> bytes:
        """Return a blob that another node offers. Raises `KeyError` and `ClusterDown`."""
