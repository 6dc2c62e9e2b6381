"""One interface to the state that nodes share. A node is a process that serves devices.

A device is at one node at a time: the one at which its newest call has arrived. The time in which
a node has a device without a break has a number, the epoch; a later one is larger. It fences: a
write with an epoch that is over changes nothing, so a node that has lost a device without knowing
harms nothing but the calls that the device has left.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol


class Claimed(NamedTuple):
    """The answer to a claim: the epoch in which the node has the device, and its mode."""

    epoch: int
    mode: int


class Listener(Protocol):
    """The node's end. Called in order, at any time while it is joined; must not wait."""

    def moved(self, device_id: str, epoch: int) -> None:
        """Another node has the device, since that epoch. A hint: it may be late, or lost."""


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
        """

    def release(self, device_id: str) -> None:
        """Let a device go that is no longer connected here; where it was last stays known."""

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        """Write the mode of a device, unless the epoch is over."""

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last `put_mode` for a device is where a later claim finds it, and as
        durable as the cluster can make it. Does not yield without a reason to wait."""
