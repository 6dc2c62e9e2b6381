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
from audio_server.rpc.rate_limit import Rate, TokenBucket
from audio_server.wire.audio import CUT
from audio_server.wire.comms_pb2 import DeviceEventResponse, DeviceStatusRequest

MESSAGES: Rate = (50, 20)
"""How many messages of a call are read at once, and a second, as the server itself does: a device
that sends without end takes no time from others."""

_ACK = frame_message(DeviceEventResponse(ack=True).SerializeToString())

Hear: TypeAlias = "Callable[[OpenCall, Any], None]"


class OpenCall:
    """A call of the device, with the first and the latest of the messages that came on it and their
    number, and the number of events without an acknowledgement. `end` ends it with a status of the
    judge's choice.

    Of requests that were sent before it came here the device still owes `owed` answers, which are
    dropped.
    """

    def __init__(self, call: ServerCall, kind: CallKind, owed: int = 0) -> None:
        self.call = call
        self.kind = kind
        self.status: Status | None = None
        self.first: Any = None
        self.latest: Any = None
        self.count = 0
        self.using = trio.CancelScope()
        self._over = False
        self._owed = owed
        self._asked = 0
        self._is_in_take = False
        self._due: deque[float] = deque()
        self._tokens = TokenBucket(MESSAGES, trio.current_time())
        self._reads_at = -math.inf
        self.unacknowledged = 0

    def is_over(self) -> bool:
        """Whether the call has ended, by either side."""
        return self._over

    def close(self) -> None:
        """Note that the call has ended, or goes on elsewhere."""
        self._over = True
        self.close_take()

    def close_take(self) -> None:
        """End the take that is open, if one is: no path leaves a device without its `is_end`. The
        packet waits for room by itself."""
        if self._is_in_take:
            self._is_in_take = False
            self.call.send_nowait(CUT)

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
        """Have `attend` return, with no acknowledgement left open; a call with an answer due ends,
        so that the answer is taken for no other one."""
        if self.unanswered:
            self.end(Status.UNAVAILABLE)
            return
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
        self.first = message if self.first is None else self.first
        self.latest = message
        self.count += 1
        return True

    async def attend(self, hear: Hear, ack_after_s: Callable[[], float]) -> None:
        """Pass messages to `hear` until the call ends or is cancelled; events are acknowledged."""
        if self.kind is CallKind.EVENTS:
            await self._acknowledge(hear, ack_after_s)
        else:
            while (message := await self._receive()) is not None:
                hear(self, message)
        await trio.sleep_forever()

    async def _acknowledge(self, hear: Hear, ack_after_s: Callable[[], float]) -> None:
        """Read on while an event waits for its acknowledgement: one that comes then is a breach."""
        due = self._due
        while True:
            with trio.move_on_at(due[0] if due else math.inf) as pause:
                if (event := await self._receive()) is None:
                    break
                due.append(trio.current_time() + ack_after_s())
                hear(self, event)
            if pause.cancelled_caught:
                await self.call.send_framed(_ACK)
                due.popleft()
                self.unacknowledged -= 1

    async def _receive(self) -> Any:
        """Return the next message when it may be read, None at the end. Cancelled, it has taken
        none."""
        if self._reads_at > trio.current_time():
            await trio.sleep_until(self._reads_at)
        message = await self.call.recv_message()
        now = trio.current_time()
        self._reads_at = now + self._tokens.book(now)
        return message
