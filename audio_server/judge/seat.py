"""A device before the judge: the calls that it has open, and all that comes on them.

A seat is of a device that came to the judge's own server, or borrows a device of a running one
(`device.loan`): the trials do not know which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from trio_util import AsyncValue

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings
from audio_server.judge.open_call import OpenCall
from audio_server.rpc.call import ServerCall
from audio_server.wire.comms_pb2 import ButtonEvent, DeviceEvent

TOO_MANY_PINGS = "too_many_pings"
"""In the reason of the end of a connection, as gRPC's C core has it."""

SETTLED_S = 0.5
"""Time in which the calls of a device that leaves end one after the other."""


class DeviceLeft(Exception):
    """A device has gone of its own accord, as one that is switched off: that breaks no duty."""


class Seat:
    """The calls of one device: `calls` are open, `newest` are the newest of each kind, open or
    not; no other one counts.

    `changes` grows with each call that opens or ends and with each message, to be waited on.
    `ack_after_s` is how long an event waits for its acknowledgement. A device that `may_leave` is
    one that has another use: steps then raise `DeviceLeft`.
    """

    def __init__(self, device_id: str, *, may_leave: bool = False) -> None:
        self.findings = Findings(device_id)
        self.changes = AsyncValue(0)
        self.calls: dict[CallKind, OpenCall] = {}
        self.newest: dict[CallKind, OpenCall] = {}
        self.came_at_s: float | None = None
        """When its first call came, since this was None."""
        self.ack_after_s = 0.0
        self.is_dropped = False
        """Whether all its calls were ended, and it has to come back."""
        self.gone_because: str | None = None
        """Why the device is not to be judged any more."""
        self.trial = trio.CancelScope()
        """That of the trial, which ends where the device is gone for good."""
        self._may_leave = may_leave

    @property
    def device_id(self) -> str:
        """The id of the device."""
        return self.findings.device_id

    async def wait(self, condition: Callable[[], object], within_s: float) -> bool:
        """Return whether a condition comes to hold within some seconds."""
        with trio.move_on_after(within_s):
            await self.changes.wait_value(lambda _: bool(condition()))
            return True
        return bool(condition())

    async def check_there(self) -> None:
        """Raise `DeviceLeft` where an answer is missing because all calls of the device ended."""
        if self._may_leave:
            await trio.sleep(SETTLED_S)
            if not self.calls:
                raise DeviceLeft

    @property
    def is_complete(self) -> bool:
        """Whether all three calls are open."""
        return len(self.calls) == len(CallKind)

    def is_quiet(self) -> bool:
        """Whether all calls are here, and the device owes no answer on them."""
        return self.is_complete and not any(call.unanswered for call in self.calls.values())

    def give_back(self) -> None:
        """Have the server go on with all calls."""
        for call in list(self.calls.values()):
            call.give_back()

    async def use(self, call: ServerCall, kind: CallKind, owed: int = 0) -> None:
        """Handle a call of the device until it ends or is given back; see `device.loan`. Raises
        `GRPCError` for one that the judge ends."""
        opened = OpenCall(call, kind, owed)
        with self._taking(opened):
            try:
                with opened.using:
                    await opened.attend(self.heard, lambda: self.ack_after_s)
            except trio.Cancelled:
                if opened.status is None:
                    raise
        if opened.status is not None:
            raise GRPCError(opened.status, "ended by the judge")

    def lost(self, reason: str) -> None:
        """The device is gone from this process: another one may have it."""
        if self.is_dropped:
            self.findings.kept(Duty.RETURN)
        self.gone_because = reason
        self.trial.cancel()

    def stop(self) -> None:
        """End the trial, and the take that is open, at once: the server is stopping."""
        self.trial.cancel()
        for call in self.calls.values():
            call.close_take()

    @contextmanager
    def _taking(self, opened: OpenCall) -> Iterator[None]:
        """Hold a call for the block; an older one of its kind ends with ABORTED."""
        if (older := self.calls.get(opened.kind)) is not None:
            older.end(Status.ABORTED)
        self.calls[opened.kind] = self.newest[opened.kind] = opened
        if self.came_at_s is None:
            self.came_at_s = trio.current_time()
        self._changed()
        try:
            yield
        finally:
            opened.close()
            self._judge_pings(opened)
            if self.calls.get(opened.kind) is opened:
                del self.calls[opened.kind]
            self._changed()

    def heard(self, opened: OpenCall, message: Any) -> None:
        """Take note of a message."""
        if opened.note(message) and opened.kind is CallKind.EVENTS:
            self._heard_event(opened, message)
        self._changed()

    def _heard_event(self, opened: OpenCall, event: DeviceEvent) -> None:
        if opened.unacknowledged:
            self.findings.broken(
                Duty.LOCK_STEP, "sent an event before the one before it was acknowledged"
            )
        opened.unacknowledged += 1
        self.findings.judge(Duty.EVENT, _breach_of(event))

    def _judge_pings(self, opened: OpenCall) -> None:
        """The limits of the connection count PINGs, and end it for too many of them."""
        pinged = TOO_MANY_PINGS in getattr(opened.call.peer, "end_reason", "")
        breach = "sent PINGs so often that its connection was ended (too_many_pings)"
        self.findings.judge(Duty.PINGS, breach if pinged else None)

    def _changed(self) -> None:
        self.changes.value += 1


def _breach_of(event: DeviceEvent) -> str | None:
    if event.WhichOneof("event") != "button_event":
        return "sent an event with no field set"
    button, act = event.button_event.button_id, event.button_event.event
    if button not in ButtonEvent.ButtonId.values():
        return f"sent button_id = {button}, which comms.proto does not have"
    if act not in ButtonEvent.ButtonEventType.values():
        return f"sent event = {act}, which comms.proto does not have"
    return None
