"""The cluster of one machine that is itself a node of a larger cluster.

Workers ask the hub, as on a machine alone, and the machine has a device for all of them. Only a
claim for a device that is at none of them waits for the larger cluster; between workers a device
moves at once, and the larger cluster is told of the newer call. A worker that dies releases its
devices: they come back to any machine, in their modes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from audio_server.cluster.interface import Claimed, Cluster, Listener
from audio_server.cluster.local import Hub, Owner
from audio_server.cluster.ownership import Ownership
from audio_server.device.instrumentation import Instrumentation

ELSEWHERE = ""
"""The node of a device that is at another machine."""


class WiderCluster(Cluster, Protocol):
    """The larger cluster, as the machine sees it."""

    def renew(self, device_id: str, waited_s: float) -> None:
        """Tell of a newer call of a device that is here; does not wait for an answer. `moved` or
        `reclaimed` follows where the device was elsewhere."""


class MachineHub(Hub):
    """A hub over `cluster`, which keeps the modes."""

    def __init__(
        self,
        cluster: WiderCluster,
        meter: Instrumentation | None = None,
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._cluster = cluster
        self._ownership = Ownership(cluster, waited=self._waited_s)
        self._ownership.devices = _DevicesOf(self)
        super().__init__(self._ownership, meter, clock_ns=clock_ns)

    def joined(self) -> AbstractAsyncContextManager[None]:
        """Be a node of the larger cluster for the block."""
        listener = Listener(self._ownership.moved, reclaimed=self._ownership.reclaimed)
        return self._cluster.joined(listener)

    def _waited_s(self, arrived_ns: Any) -> float:
        return float(self.clock_ns() - arrived_ns) / 1e9

    def is_here(self, device_id: str) -> bool:
        """Whether the machine has a device, which none of its workers need wait for."""
        return device_id in self._held

    async def claim_for_machine(self, node: str, device_id: str, arrived_ns: int) -> Claimed:
        """Have the device, and then grant it to a worker. Raises `Superseded`."""
        self.refuse_older(node, device_id, arrived_ns)
        try:
            await self._ownership.claim(device_id, 0, arrived_ns)
            return self.claim(node, device_id, arrived_ns)
        finally:
            self._ownership.settle(device_id)

    def claim(self, node: str, device_id: str, arrived_ns: int) -> Claimed:
        """Grant a device that the machine has to a worker, or raise `Superseded`."""
        before = self._held.get(device_id)
        claimed = super().claim(node, device_id, arrived_ns)
        if before is not None and before.newest < arrived_ns:
            self._cluster.renew(device_id, self._waited_s(arrived_ns))
        return claimed

    def release(self, node: str, device_id: str) -> None:
        """Let a device go that is at no worker."""
        super().release(node, device_id)
        self._ownership.settle(device_id)

    def put_mode(self, node: str, device_id: str, epoch: int, mode: int) -> None:
        """Write a mode, unless the device is elsewhere."""
        if device_id in self._held:
            super().put_mode(node, device_id, epoch, mode)

    # As the ownership's devices

    @property
    def held(self) -> Mapping[str, Owner]:
        """The devices that are connected to a worker."""
        return self._held

    def lose(self, device_id: str) -> None:
        """End a device at its worker: another machine has it."""
        owner = self._find(device_id)
        if owner is None:
            return
        lost = Owner(ELSEWHERE, owner.epoch + 1, owner.newest)
        was_held = self._held.pop(device_id, None)
        self._keep_left(device_id, lost)
        if was_held is not None and (member := self._members.get(owner.node)) is not None:
            member.listener.moved(device_id, lost.epoch)

    def recall(self, device_id: str, mode: int) -> None:
        """Have a device show the mode that the larger cluster has of it."""
        owner = self._held.get(device_id)
        if owner is not None and (member := self._members.get(owner.node)) is not None:
            member.listener.reclaimed(device_id, owner.epoch, mode)


class _DevicesOf:
    """The devices of a machine, as they are for its `Ownership`."""

    def __init__(self, hub: MachineHub) -> None:
        self._hub = hub

    @property
    def by_id(self) -> Mapping[str, object]:
        return self._hub.held

    def is_attached(self, device_id: str, _connection: int) -> bool:
        return device_id in self._hub.held

    def release(self, device_id: str) -> None:
        self._hub.lose(device_id)

    def recall(self, device_id: str, mode: int) -> None:
        self._hub.recall(device_id, mode)
