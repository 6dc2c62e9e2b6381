"""One call of a device before the judge."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import trio
from grpclib.const import Status

from audio_server.device.takeover import CallKind
from audio_server.rpc.call import ServerCall
from audio_server.rpc.framing import frame_message
from audio_server.wire.audio import CUT
from audio_server.wire.comms_pb2 import DeviceEventResponse, DeviceStatusRequest

RECEIVED_MAX = 1000
"""Messages of a call that are kept: a device may send without end."""

_ACK = frame_message(DeviceEventResponse(ack=True).SerializeToString())

Hear: TypeAlias = "Callable[[OpenCall, Any], None]"


class OpenCall:
    """A call of the device, with the messages that came on it and their number, and the number of
    events without an acknowledgement. `end` ends it with a status of the judge's choice.

    Of requests that were sent before it came here the device still owes `owed` answers, which are
    dropped.
    """

    def __init__(self, call: ServerCall, kind: CallKind, owed: int = 0) -> None:
        self.call = call
        self.kind = kind
        self.at_s = trio.current_time()
        self.status: Status | None = None
        self.received: deque[Any] = deque(maxlen=RECEIVED_MAX)
        self.count = 0
        self.using = trio.CancelScope()
        self._over = False
        self._owed = owed
        self._asked = 0
        self._is_in_take = False
        self._due: deque[float] = deque()
        self.unacknowledged = 0

    def is_over(self) -> bool:
        """Whether the call has ended, by either side."""
        return self._over

    def close(self) -> None:
        """Note that the call has ended."""
        self._over = True

    @property
    def unanswered(self) -> int:
        """How many answers of the device are due."""
        return max(0, self._owed + self._asked - self.count)

    def end(self, status: Status) -> None:
        """Have the call ended. Its connection ends too when no call is left on it."""
        self.status = status
        self.call.revoke()
        self.call.scope.cancel()

    def give_back(self) -> None:
        """Have `attend` return, with no take and no acknowledgement left open; a call with an
        answer due ends, so that the answer is taken for no other one."""
        if self.unanswered:
            self.end(Status.UNAVAILABLE)
            return
        if self._is_in_take:
            self.call.send_nowait(CUT)
        for _ in self._due:
            self.call.send_nowait(_ACK)
        self.using.cancel()

    # -- to the device

    async def ask(self, request: DeviceStatusRequest) -> None:
        """Send a request on a status call. Raises `GRPCError`."""
        await self.call.send_message(request)
        self._asked += 1

    async def send_packet(self, frame: bytes, *, ends: bool) -> None:
        """Send a packet of a take on an audio call; `ends`: its last one. Raises `GRPCError`."""
        await self.call.send_framed(frame)
        self._is_in_take = not ends

    # -- from the device

    def note(self, message: Any) -> bool:
        """Keep a message; False for one that is dropped."""
        if self._owed:
            self._owed -= 1
            return False
        self.received.append(message)
        self.count += 1
        return True

    async def attend(self, hear: Hear, ack_after_s: Callable[[], float]) -> None:
        """Pass messages to `hear` until the call ends or is cancelled; events are acknowledged."""
        if self.kind is CallKind.EVENTS:
            await self._acknowledge(hear, ack_after_s)
        else:
            while (message := await self.call.recv_message()) is not None:
                hear(self, message)
        await trio.sleep_forever()

    async def _acknowledge(self, hear: Hear, ack_after_s: Callable[[], float]) -> None:
        """Read on while an event waits for its acknowledgement: one that comes then is a breach."""
        due = self._due
        while True:
            with trio.move_on_at(due[0] if due else math.inf) as pause:
                if (event := await self.call.recv_message()) is None:
                    break
                due.append(trio.current_time() + ack_after_s())
                hear(self, event)
            if pause.cancelled_caught:
                await self.call.send_framed(_ACK)
                due.popleft()
                self.unacknowledged -= 1
