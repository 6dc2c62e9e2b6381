"""A worker's devices as the other workers have to see them: claimed before they are attached.

`Ownership` is also the worker's `ModeStore`: the supervisor keeps the modes, and this is where they
come from and go to.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

import trio

from audio_server.device.attachment import Superseded
from audio_server.device.registry import Devices
from audio_server.identity.authenticator import Authenticator
from audio_server.rpc.call import ServerCall
from audio_server.rpc.rate_limit import Rate
from audio_server.service.device_service import DeviceService
from audio_server.service.press_limiter import PRESSES
from audio_server.workers.cache import OwnershipCache
from audio_server.workers.connection_ids import ConnectionIds
from audio_server.workers.messages import Claim, Granted, Kept, Moved, Refused
from audio_server.workers.uplink import Uplink


@dataclass(slots=True, eq=False)
class _Unkept:
    """Changes of a device that are not confirmed yet, by the tenures in which they were made."""

    changes: Counter[int] = field(default_factory=Counter)
    kept: trio.Event = field(default_factory=trio.Event)


class _Line:
    """Calls of one connection that wait for the same answer.

    They go on in the order they came, each when the one before has: the later of two calls of a
    kind must be the newer to the device, and trio wakes the waiters of one event in any order.
    """

    __slots__ = ("_is_answered", "_turns", "arrival", "is_refused")

    def __init__(self, arrival: int) -> None:
        self.arrival = arrival
        self.is_refused = False
        self._turns: deque[trio.Event] = deque()
        self._is_answered = False

    async def wait(self) -> None:
        turn = trio.Event()
        self._turns.append(turn)
        try:
            await turn.wait()
        finally:
            self._turns.remove(turn)
            self._call_next()

    def answer(self, *, is_refused: bool) -> None:
        self.is_refused = is_refused
        self._is_answered = True
        self._call_next()

    def _call_next(self) -> None:
        if self._is_answered and self._turns:
            self._turns[0].set()

    @property
    def is_over(self) -> bool:
        return self._is_answered and not self._turns


IsAttached: TypeAlias = Callable[[str, int], bool]
"""Whether a device has a call attached here on a connection."""


class Ownership:
    """The claims of worker number `worker`. `hear` and `moved` must be called with the supervisor's
    news.

    A connection on which the device `is_attached` here need not be claimed for. `confirms`: the
    supervisor says when it has kept a mode, and a press waits for that.
    """

    is_durable = True

    def __init__(
        self,
        worker: int,
        uplink: Uplink,
        cache: OwnershipCache,
        is_attached: IsAttached,
        *,
        confirms: bool = False,
    ) -> None:
        self._worker = worker
        self._uplink = uplink
        self._cache = cache
        self._is_attached = is_attached
        self._confirms = confirms
        self._lines: dict[str, dict[int, _Line]] = {}
        self._unkept: dict[str, _Unkept] = {}

    async def claim(self, device_id: str, connection: int, arrival: Callable[[], int]) -> None:
        """Return when the device is known to be at this worker, for a call on `connection`.

        `arrival` gives when the call came in, if the registry has to be asked. Raises `Superseded`
        when another worker has the device. A cancel leaves nothing behind but a question whose
        answer is heard and kept.
        """
        # A call that was reset before its task ran must not take a device over.
        await trio.lowlevel.checkpoint_if_cancelled()
        line = self._line(device_id, connection, arrival)
        if line is None:
            return
        try:
            await line.wait()
        finally:
            self._tidy(device_id)
        # The device may have moved since the answer came.
        if line.is_refused or not self._cache.has(device_id):
            raise Superseded(Superseded.ELSEWHERE)

    def _line(self, device_id: str, connection: int, arrival: Callable[[], int]) -> _Line | None:
        """Where to wait for the answer, having asked; None where the device is attached."""
        lines = self._lines.get(device_id, {})
        if connection in lines:
            return lines[connection]
        if self._is_attached(device_id, connection):
            return None
        line = self._lines.setdefault(device_id, {})[connection] = _Line(arrival())
        self._uplink.send(Claim(self._worker, device_id, line.arrival))
        return line

    def _tidy(self, device_id: str) -> None:
        """Forget lines without waiting calls."""
        lines = self._lines.get(device_id, {})
        for connection in [number for number, line in lines.items() if line.is_over]:
            del lines[connection]
        if not lines:
            self._lines.pop(device_id, None)

    def hear(self, news: Granted | Refused | Kept) -> None:
        """Take an answer, and wake the calls that wait for it."""
        if isinstance(news, Kept):
            self._on_kept(news)
            return
        if isinstance(news, Granted):
            self._cache.hear(news)
        for line in self._lines.get(news.device_id, {}).values():
            if line.arrival == news.arrival:
                line.answer(is_refused=isinstance(news, Refused))
        self._tidy(news.device_id)

    def moved(self, news: Moved) -> bool:
        """Note that another worker has a device. Returns whether it must be released here."""
        return self._cache.hear(news)

    # As a `ModeStore`

    def get(self, device_id: str) -> int:
        """The mode of a device that has been claimed here."""
        return self._cache.mode(device_id)

    def put(self, device_id: str, mode: int) -> None:
        """Tell the registry of a mode."""
        changed = self._cache.change(device_id, mode)
        self._uplink.send(changed)
        if self._confirms:
            self._unkept.setdefault(device_id, _Unkept()).changes[changed.tenure] += 1

    async def wait_durable(self, device_id: str) -> None:
        """Return when the last mode is written where no claim of another worker can be before it,
        and, with a supervisor that confirms, when it has."""
        await self._uplink.wait_written()
        unkept = self._unkept.get(device_id)
        if unkept is not None:
            await unkept.kept.wait()

    def _on_kept(self, kept: Kept) -> None:
        unkept = self._unkept.get(kept.device_id)
        # One of a tenure that is not known here was asked by the worker that was here before.
        if unkept is None or not unkept.changes[kept.tenure]:
            return
        unkept.changes[kept.tenure] -= 1
        if not unkept.changes.total():
            self._unkept.pop(kept.device_id).kept.set()


class ClaimingService(DeviceService):
    """The three calls of a device, each begun by a claim once it is known whose call it is."""

    def __init__(
        self,
        devices: Devices,
        ownership: Ownership,
        numbers: ConnectionIds,
        identity: Authenticator | None = None,
        presses: Rate = PRESSES,
    ) -> None:
        super().__init__(devices, identity, presses)
        self._ownership = ownership
        self._numbers = numbers

    async def claim(self, call: ServerCall, device_id: str) -> None:
        """Return when the device is at this worker. Raises `Superseded` when it is at another."""
        arrival = partial(self._numbers.of_call, call.transport)
        await self._ownership.claim(device_id, call.connection_number, arrival)
