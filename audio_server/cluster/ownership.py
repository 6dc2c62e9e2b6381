"""A node's devices as the other nodes have to see them: claimed before they are attached.

`Ownership` is also the `ModeStore` of the node's devices: the cluster keeps the modes.

Only the first call of a connection asks the cluster; where a device has a call open on the same
connection, the next one is attached at once. A call is claimed first, without any lock, and then
attached as if there were no other node: in one synchronous step with the end of the claim. A device
that goes from node A to B and back, before A has heard that it moved, comes back on another
connection: so it is claimed, and the news, which ends the older calls, changes nothing after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import trio

from audio_server.cluster.arrivals import waited_s
from audio_server.cluster.interface import Claimed, Cluster
from audio_server.device.attachment import Superseded
from audio_server.device.registry import Devices
from audio_server.identity.authenticator import Authenticator
from audio_server.rpc.call import ServerCall
from audio_server.rpc.rate_limit import Rate
from audio_server.service.device_service import DeviceService
from audio_server.service.press_limiter import PRESSES


class Attached(Protocol):
    """The devices that have calls here: `Devices`, or those of all workers of a machine."""

    @property
    def by_id(self) -> Mapping[str, object]:
        """Each device by its id."""

    def is_attached(self, device_id: str, connection: int) -> bool:
        """Whether a call of a device on that connection is here, so that the next one needs no
        claim."""

    def release(self, device_id: str) -> None:
        """End the calls of a device: it is elsewhere."""

    def recall(self, device_id: str, mode: int) -> None:
        """Go on with a device in another mode."""


@dataclass(slots=True)
class _Held:
    """A device that is here, with the mode last put."""

    epoch: int
    mode: int


class Ownership:
    """The claims of a node, a `Listener` of its cluster. `devices` must be set before the first.

    `waited` is how long the last call has waited on a transport, or whatever `claim` is given.
    """

    devices: Attached

    def __init__(self, cluster: Cluster, *, waited: Callable[[Any], float] = waited_s) -> None:
        self._cluster = cluster
        self._waited = waited
        self._held: dict[str, _Held] = {}
        self._lines: dict[tuple[str, int], list[trio.Event]] = {}
        self._asking: dict[str, int] = {}
        self._moved: dict[str, int] = {}
        self._recalled: dict[str, Claimed] = {}

    async def claim(self, device_id: str, connection: int, transport: Any) -> None:
        """Return when the device is at this node, for a call that was read from `transport`.

        Raises `Superseded` when another node has the device.
        """
        # A call that was reset before its task ran must not take a device over.
        await trio.lowlevel.checkpoint_if_cancelled()
        # Calls of a connection go on in the order in which they came: the later of two calls of a
        # kind must be the newer one to the device.
        key = device_id, connection
        if (line := self._lines.get(key)) is not None:
            await self._wait_turn(key, line)
        elif self.devices.is_attached(device_id, connection):
            return
        else:
            self._lines[key] = []
        try:
            if line is None or not self.devices.is_attached(device_id, connection):
                await self._ask(device_id, transport)
        finally:
            self._call_next(key)

    async def _wait_turn(self, key: tuple[str, int], line: list[trio.Event]) -> None:
        turn = trio.Event()
        line.append(turn)
        try:
            await turn.wait()
        except trio.Cancelled:
            if turn.is_set():  # with the cancel
                self._call_next(key)
            else:
                line.remove(turn)
            raise

    def _call_next(self, key: tuple[str, int]) -> None:
        if line := self._lines[key]:
            line.pop(0).set()
        else:
            del self._lines[key]

    async def _ask(self, device_id: str, transport: Any) -> None:
        self._asking[device_id] = self._asking.get(device_id, 0) + 1
        try:
            claimed = await self._cluster.claim(device_id, self._waited(transport))
            # Without an epoch it was let in by a node that could ask nobody: it stays.
            if claimed.epoch and self._moved.get(device_id, 0) > claimed.epoch:
                raise Superseded(Superseded.ELSEWHERE)
            if (newer := self._recalled.get(device_id)) and newer.epoch == claimed.epoch:
                claimed = newer
        except trio.Cancelled:
            self._held.setdefault(device_id, _Held(0, 0))  # it may be granted: to be released
            raise
        finally:
            self._asking[device_id] -= 1
            if not self._asking[device_id]:
                del self._asking[device_id]
                self._moved.pop(device_id, None)
                self._recalled.pop(device_id, None)
        held = self._held.get(device_id)
        if held is not None and held.epoch >= claimed.epoch:
            return  # a mode may have been put since the answer was given
        if held is not None:
            self.devices.release(device_id)  # it was elsewhere meanwhile, and the news was lost
        self._held[device_id] = _Held(claimed.epoch, claimed.mode)

    def settle(self, device_id: str) -> None:
        """Release the device after the end of a call, unless another call of it is here."""
        if device_id in self._asking or device_id in self.devices.by_id:
            return
        if self._held.pop(device_id, None) is not None:
            self._cluster.release(device_id)

    def moved(self, device_id: str, epoch: int) -> None:
        """End the calls of a device that another node has."""
        if device_id in self._asking:
            self._moved[device_id] = max(epoch, self._moved.get(device_id, 0))
        held = self._held.get(device_id)
        if held is None or held.epoch < epoch:
            self._held.pop(device_id, None)
            self.devices.release(device_id)

    def reclaimed(self, device_id: str, epoch: int, mode: int) -> None:
        """Go on in that epoch with a device that is here, and show that mode."""
        if device_id in self._asking:
            self._recalled[device_id] = Claimed(epoch, mode)
        held = self._held.get(device_id)
        if held is not None and held.epoch <= epoch:
            held.epoch = epoch
            if held.mode != mode:
                held.mode = mode
                self.devices.recall(device_id, mode)

    # As a `ModeStore`

    @property
    def is_durable(self) -> bool:
        """Whether the cluster's modes are."""
        return self._cluster.is_durable

    def get(self, device_id: str) -> int:
        """The mode of a device that has been claimed here."""
        return self._held[device_id].mode

    def put(self, device_id: str, mode: int) -> None:
        """Write the mode of a device that is here."""
        held = self._held[device_id]
        held.mode = mode
        self._cluster.put_mode(device_id, held.epoch, mode)

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last mode is durable."""
        await self._cluster.wait_durable(device_id)


class ClaimingService(DeviceService):
    """The three calls of a device, each begun by a claim once it is known whose call it is."""

    def __init__(
        self,
        devices: Devices,
        ownership: Ownership,
        identity: Authenticator | None = None,
        presses: Rate = PRESSES,
    ) -> None:
        super().__init__(devices, identity, presses)
        ownership.devices = devices
        self._ownership = ownership

    async def claim(self, call: ServerCall, device_id: str) -> None:
        """Return when the device is at this node. Raises `Superseded` when it is at another."""
        await self._ownership.claim(device_id, call.connection_number, call.transport)

    def settle(self, device_id: str) -> None:
        """Release the device if this was its last call."""
        self._ownership.settle(device_id)
