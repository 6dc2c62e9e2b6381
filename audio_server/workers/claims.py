"""A worker's devices as the other workers have to see them: claimed before they are attached.

`Claims` is also the worker's `ModeStore`: the supervisor keeps the modes, and this is where they
come from and go to.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from audio_server.device.devices import Devices
from audio_server.device.links import Superseded
from audio_server.identity.check import Identity
from audio_server.press_pace import PRESSES
from audio_server.rpc.rates import Rate
from audio_server.service import DeviceService
from audio_server.workers.messages import Claim, Granted, Kept, Moved
from audio_server.workers.replica import Replica
from audio_server.workers.uplink import Uplink


@dataclass(slots=True, eq=False)
class _Unkept:
    """Changes of a device that are not confirmed yet."""

    changes: int = 0
    kept: trio.Event = field(default_factory=trio.Event)


class Claims:
    """The claims of worker number `worker`. `hear` must be called with the supervisor's news.

    `confirms`: the supervisor says when it has kept a mode, and a press waits for that.
    """

    takes_time = True

    def __init__(
        self, worker: int, uplink: Uplink, replica: Replica, *, confirms: bool = False
    ) -> None:
        self._worker = worker
        self._uplink = uplink
        self._replica = replica
        self._confirms = confirms
        self._asked: dict[str, dict[int, trio.Event]] = {}
        self._unkept: dict[str, _Unkept] = {}

    async def claim(self, device_id: str, connection: int) -> None:
        """Return when `connection` is known to be the device's newest one.

        Raises `Superseded` when it is not. A cancel leaves nothing behind but a question whose
        answer is heard and kept.
        """
        # A call that was reset before its task ran must not take a device over.
        await trio.lowlevel.checkpoint_if_cancelled()
        while (newest := self._replica.newest(device_id)) < connection:
            await self._ask(device_id, connection)
        if newest > connection:
            raise Superseded("the device is on a newer connection")

    async def _ask(self, device_id: str, connection: int) -> None:
        questions = self._asked.setdefault(device_id, {})
        answered = questions.get(connection)
        if answered is None:
            answered = questions[connection] = trio.Event()
            self._uplink.send(Claim(self._worker, device_id, connection))
        await answered.wait()

    def hear(self, news: Granted | Moved | Kept) -> None:
        """Take in news, and wake whoever waits for it."""
        if isinstance(news, Kept):
            self._on_kept(news.device_id)
        else:
            self._on_connection(news)

    def _on_connection(self, news: Granted | Moved) -> None:
        self._replica.hear(news)
        questions = self._asked.get(news.device_id, {})
        for connection in [asked for asked in questions if asked <= news.connection]:
            questions.pop(connection).set()
        if not questions:
            self._asked.pop(news.device_id, None)

    # As a `ModeStore`

    def get(self, device_id: str) -> int:
        """The mode of a device that has been claimed here."""
        return self._replica.mode(device_id)

    def put(self, device_id: str, mode: int) -> None:
        """Tell the registry of a mode."""
        self._uplink.send(self._replica.change(device_id, mode))
        if self._confirms:
            self._unkept.setdefault(device_id, _Unkept()).changes += 1

    async def wait_kept(self, device_id: str) -> None:
        """Return when what was put is where no claim of another worker can be before it, and
        where the supervisor confirms, when it has."""
        await self._uplink.wait_written()
        unkept = self._unkept.get(device_id)
        if unkept is not None:
            await unkept.kept.wait()

    def _on_kept(self, device_id: str) -> None:
        unkept = self._unkept.get(device_id)
        if unkept is not None:  # else it was asked by the worker that was here before
            unkept.changes -= 1
            if not unkept.changes:
                self._unkept.pop(device_id).kept.set()


class ClaimingService(DeviceService):
    """The three calls of a device, each begun by a claim once it is known whose call it is."""

    def __init__(
        self,
        devices: Devices,
        claims: Claims,
        identity: Identity | None = None,
        presses: Rate = PRESSES,
    ) -> None:
        super().__init__(devices, identity, presses)
        self._claims = claims

    async def claim(self, device_id: str, connection: int) -> None:
        """Raises `Superseded` for a connection that is not the device's newest."""
        await self._claims.claim(device_id, connection)
