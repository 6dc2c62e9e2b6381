"""The judge in a running server: it borrows devices of this process, each for a trial.

A trial goes on for as long as it is asked for: the one who asks may be in another process, and is
known to be gone when it asks no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog
import trio

from audio_server.device.device import Device
from audio_server.device.events import DeviceEvent
from audio_server.device.loan import Loan
from audio_server.device.registry import Devices
from audio_server.judge import passive
from audio_server.judge.order import Document, Order, Progress
from audio_server.judge.report import document_of
from audio_server.judge.seat import Seat
from audio_server.judge.trial import Patience, run_trial_of_connected

UNASKED_S: Final = 10.0
"""A trial that is not asked for so long ends."""

AT_ONCE: Final = 4
"""Devices that are judged at once in a process: each is sent 300 kbit/s of sound."""

KEPT: Final = 16
"""Trials and their outcomes, until these are asked for."""

MOVE_S: Final = 5.0
"""Time in which the calls of a device come to the judge: one may wait for a press to be stored."""

ANSWERS_S: Final = 2.0
"""Time for answers that are due when a device is given back."""

PLAYS: Final = "it plays; stop it first, or allow its take to be cut"
GONE: Final = "the device was disconnected"
JUDGED: Final = "it is being judged"
FULL: Final = f"{AT_ONCE} devices are being judged already; try again in a while"
STOPPING: Final = "the server is stopping"
ENDED: Final = "the trial was ended"
FAILED: Final = "the judge failed in the server"

log = structlog.get_logger()


@dataclass(slots=True)
class _Case:
    device_id: str
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    steps: list[str] = field(default_factory=list)
    outcome: Document | None = None
    refusal: str | None = None

    @property
    def is_over(self) -> bool:
        return self.outcome is not None or self.refusal is not None


class Bench:
    """The trials of this process, which run with its `devices`. `make_sound` returns a take of some
    seconds."""

    def __init__(
        self, devices: Devices, make_sound: Callable[[], Awaitable[Sequence[bytes]]] | None = None
    ) -> None:
        self._devices = devices
        self._make_sound = make_sound
        self._sound: Sequence[bytes] = ()
        self._cases: OrderedDict[str, _Case] = OrderedDict()

    def judge(self, device_id: str, order: Order, told: Sequence[str] = ()) -> Progress:
        """Begin a trial, or say how far it is. `told` are breaches that were seen before, as texts.
        Does not wait."""
        case = self._cases.get(order.number)
        if case is None:
            if order.again:
                return Progress("failed", ENDED)
            device = self._devices.by_id.get(device_id)
            if device is None:
                return Progress("gone")
            if (refusal := self._refusal(device, order)) is not None:
                return Progress("failed", refusal)
            case = self._begin(device, order, told)
        case.scope.deadline = trio.current_time() + UNASKED_S
        if order.ends or case.is_over:
            case.scope.cancel()
            del self._cases[order.number]
        return Progress(
            "done" if case.refusal is None else "failed",
            case.refusal,
            list(case.steps),
            case.outcome,
        )

    def _refusal(self, device: Device, order: Order) -> str | None:
        running = [case.device_id for case in self._cases.values() if not case.is_over]
        if device.id in running:
            return JUDGED
        return self._refusal_now(device, order) or (FULL if len(running) >= AT_ONCE else None)

    def _refusal_now(self, device: Device, order: Order) -> str | None:
        if self._devices.is_ending:
            return STOPPING
        if device.loan is not None:
            return JUDGED
        return PLAYS if device.is_playing and not order.cut else None

    def _begin(self, device: Device, order: Order, told: Sequence[str]) -> _Case:
        if len(self._cases) >= KEPT:
            # One is over: fewer run at once than are kept.
            del self._cases[next(number for number, one in self._cases.items() if one.is_over)]
        case = self._cases[order.number] = _Case(device.id)
        seat = Seat(device.id, may_leave=True)
        passive.feed(seat.findings, told)
        self._devices.start_task(partial(self._run, case, seat, order))
        return case

    async def _run(self, case: _Case, seat: Seat, order: Order) -> None:
        """Try a device. This is the edge where faults of a trial end."""
        try:
            with case.scope:
                await self._try(case, seat, order)
        except* Exception:
            log.exception("judge failed", device=case.device_id)
            case.refusal = FAILED
        finally:
            if not case.is_over:
                case.refusal = ENDED

    async def _try(self, case: _Case, seat: Seat, order: Order) -> None:
        self._sound = sound = self._sound or await (self._make_sound or _hiss)()
        await trio.lowlevel.checkpoint()  # where one that was ended already ends
        device = self._devices.by_id.get(case.device_id)
        refusal = GONE if device is None else self._refusal_now(device, order)  # since it was asked
        if device is None or refusal is not None:
            case.refusal = refusal
            return
        self._devices.tell(device.id, DeviceEvent.ACTION, "judge", None)
        if device.is_playing:
            device.stop()
        patience = Patience(order.press_s, order.return_s)
        with self._devices.lending(device.id, seat) as loan:
            try:
                await seat.wait(seat.is_quiet, MOVE_S)
                await run_trial_of_connected(seat, sound, case.steps.append, patience)
            finally:
                with trio.CancelScope(shield=True):
                    await _give_back(seat, loan)
        if self._devices.is_ending:
            case.refusal = STOPPING
        else:
            case.outcome = document_of(seat.findings, seat.gone_because)


async def _give_back(seat: Seat, loan: Loan) -> None:
    """Have all calls go on as before. Takes `ANSWERS_S` and a moment at most."""
    await seat.wait(lambda: not seat.calls or seat.is_quiet(), ANSWERS_S)
    loan.is_over = True
    seat.give_back()
    await seat.wait(lambda: not seat.calls, ANSWERS_S)


async def _hiss() -> Sequence[bytes]:
    from audio_server.judge.sound import make_hiss  # loads the codecs

    return await trio.to_thread.run_sync(make_hiss)
