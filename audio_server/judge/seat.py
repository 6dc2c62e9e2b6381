"""A device before the judge: the calls that it has open, and all that comes on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import trio
from grpclib.const import Status
from trio_util import AsyncValue

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings
from audio_server.rpc.call import ServerCall
from audio_server.wire.comms_pb2 import ButtonEvent, DeviceEvent

TOO_MANY_PINGS = "too_many_pings"
"""In the reason of the end of a connection, as gRPC's C core has it."""

RECEIVED_MAX = 1000
"""Messages of a call, and events of a device, that are kept: a device may send without end."""


class OpenCall:
    """A call of the device, with the messages that came on it and their number, and the number of
    events without an acknowledgement. `end` ends it with a status of the judge's choice."""

    def __init__(self, call: ServerCall, kind: CallKind) -> None:
        self.call = call
        self.kind = kind
        self.at_s = trio.current_time()
        self.status: Status | None = None
        self.received: deque[Any] = deque(maxlen=RECEIVED_MAX)
        self.count = 0
        self._over = False
        self.unacknowledged = 0

    def is_over(self) -> bool:
        """Whether the call has ended, by either side."""
        return self._over

    def close(self) -> None:
        """Note that the call has ended."""
        self._over = True

    def end(self, status: Status) -> None:
        """Have the call ended. Its connection ends too when no call is left on it."""
        self.status = status
        self.call.revoke()
        self.call.scope.cancel()


class Seat:
    """The calls of one device: `calls` are open, `newest` are the newest of each kind, open or
    not; no other one counts.

    `changes` grows with each call that opens or ends and with each message, to be waited on.
    `ack_after_s` is how long an event waits for its acknowledgement.
    """

    def __init__(self, device_id: str) -> None:
        self.findings = Findings(device_id)
        self.changes = AsyncValue(0)
        self.calls: dict[CallKind, OpenCall] = {}
        self.newest: dict[CallKind, OpenCall] = {}
        self.opened: list[OpenCall] = []
        self.events: deque[DeviceEvent] = deque(maxlen=RECEIVED_MAX)
        self.ack_after_s = 0.0

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

    @property
    def is_complete(self) -> bool:
        """Whether all three calls are open."""
        return len(self.calls) == len(CallKind)

    @contextmanager
    def taking(self, opened: OpenCall) -> Iterator[None]:
        """Hold a call for the block; an older one of its kind ends with ABORTED."""
        if (older := self.calls.get(opened.kind)) is not None:
            older.end(Status.ABORTED)
        self.calls[opened.kind] = self.newest[opened.kind] = opened
        self.opened.append(opened)
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
        opened.received.append(message)
        opened.count += 1
        if opened.kind is CallKind.EVENTS:
            self._heard_event(opened, message)
        self._changed()

    def _heard_event(self, opened: OpenCall, event: DeviceEvent) -> None:
        self.events.append(event)
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
