"""The inbound half of a call: whole messages in, and windows credited for them.

A message is indivisible: receiving takes it only when all of it is there, so a cancel has taken
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from trio.lowlevel import Abort, RaiseCancelT, Task

from audio_server.rpc.framing import PREFIX_BYTES
from audio_server.rpc.messages import MessageReader

if TYPE_CHECKING:
    from audio_server.rpc.connection import Connection

_AT_ONCE_MAX = 16
"""So many of a crowd of tiny messages are taken at once; for the others a task is woken, which
lets other tasks run in between."""

TakeAtOnce = Callable[[bytes], bool]
"""Takes a message if nothing about it has to be waited for, and says whether it did. If not, it
has changed nothing. Must not block."""

_PORTION_BYTES = 4096
"""Windows are given back in portions of this, or half of a window that is smaller."""


class InboundHalf:
    """The receiving half of a call; one task reads, `Connection` feeds it.

    `scope` is cancelled when the call ends from outside (reset, connection lost, deadline,
    drain); `failure` then says with which status.
    """

    __slots__ = (
        "_at_once",
        "_fault",
        "_held_bytes",
        "_reader",
        "_spent_bytes",
        "_waiting",
        "connection",
        "failure",
        "headers",
        "id",
        "remote_ended",
        "scope",
    )

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.scope = trio.CancelScope()
        self.failure: GRPCError | None = None
        self.headers: list[tuple[bytes, bytes]] | None = None
        self.remote_ended = False
        self._reader = MessageReader(connection.limits.max_message_bytes)
        self._held_bytes = 0  # of the peer's windows
        self._spent_bytes = 0  # of these: read, but not yet given back
        self._waiting: tuple[Task, ...] = ()
        self._at_once: TakeAtOnce | None = None
        self._fault: Exception | None = None

    # Called by the connection

    def feed(self, data: bytes, flow_bytes: int) -> None:
        """Take the payload of a DATA frame that cost `flow_bytes` of window.

        Raises `GRPCError` for a message that the peer may not send.
        """
        self._held_bytes += flow_bytes
        message = self._reader.sole(data)
        if message is not None and self._is_taken(message):
            self._give_back(flow_bytes)
            return
        self._give_back(flow_bytes - len(data))
        if self._reader.feed(data) and (message is not None or not self._are_taken()):
            self.notify()
        self._let_rest_in()

    def _let_rest_in(self) -> None:
        """A message under way must be able to arrive, once nothing is unread before it."""
        missing = self._reader.missing_bytes
        if missing and not self._reader.whole:
            self._tell_spent()
            self.connection.ensure_window(self.id, missing)

    def end_remote(self) -> None:
        """The peer has said all it will. Raises `GRPCError` if that was in mid-message."""
        self.remote_ended = True
        self.notify()
        if self._reader.partial_bytes:
            raise GRPCError(Status.INTERNAL, "the stream ended inside a message")

    def fail(self, failure: GRPCError) -> None:
        """End the call from outside: its task is cancelled and finds out why in `failure`."""
        if self.failure is None:
            # A copy: the traceback of one that was raised leads back to this stream.
            self.failure = GRPCError(failure.status, failure.message)
            self.notify()
            self.scope.cancel()

    def notify(self) -> None:
        """Wake the tasks that wait on this stream, to check again."""
        waiting, self._waiting = self._waiting, ()
        for task in waiting:
            trio.lowlevel.reschedule(task)

    def interrupt(self, error: Exception) -> None:
        """Have `receive_message` raise `error` where it waits, now or the next time."""
        self._fault = error
        self.notify()

    async def _wait_change(self) -> None:
        # A `trio.Event` for each of thousands of calls that wait would be 300 bytes more.
        task = trio.lowlevel.current_task()
        self._waiting += (task,)

        def abort(_: RaiseCancelT) -> Abort:
            self._waiting = tuple(other for other in self._waiting if other is not task)
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    # Receiving

    async def receive_headers(self) -> list[tuple[bytes, bytes]]:
        """The peer's first headers (client side). Raises the call's failure if it ends before."""
        while self.headers is None:
            self._raise_failure()
            await self._wait_change()
        return self.headers

    async def receive_message(self, at_once: TakeAtOnce | None = None) -> bytes | None:
        """Return the next whole message, without its prefix; None when the peer has ended its side.

        Fast path: messages that come meanwhile are offered to `at_once`, and those that it takes
        are not received, since waking a task costs more than most messages do. An error that it
        raises is raised here. Benchmark: docs/performance.md, "Presses without wakes".

        Raises the call's failure. A cancelled receive has taken nothing.
        """
        # A handler that never has to wait must let others run all the same.
        if self._reader.whole:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._at_once = at_once
            self._raise_fault()  # before messages: of a flood of them there may be no end
            while not self._reader.whole:
                self._raise_failure()
                if self.remote_ended:
                    return None
                await self._wait_change()
                self._raise_fault()
        finally:
            self._at_once = None
        message = self._take()
        self._let_rest_in()
        return message

    def _take(self) -> bytes:
        message = self._reader.take()
        self._give_back(len(message) + PREFIX_BYTES)
        return message

    def _are_taken(self) -> bool:
        """Return whether the waiting reader took all messages without being woken."""
        for _ in range(_AT_ONCE_MAX):
            if not self._is_taken(self._reader.peek()):
                return False
            self._take()
            if not self._reader.whole:
                return True
        return False

    def _is_taken(self, message: bytes) -> bool:
        if self._at_once is None or self.scope.cancel_called:
            return False
        try:
            return self._at_once(message)
        except Exception as error:  # its own task's, and none of the connection's
            self._fault = error
            return False

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._take_fault()  # held by no variable: its traceback leads to this frame

    def _take_fault(self) -> Exception:
        fault, self._fault = self._fault, None
        assert fault is not None
        return fault

    def _raise_failure(self) -> None:
        if self.failure is not None:
            # A copy: an error that is kept would keep its traceback, and that this stream.
            raise GRPCError(self.failure.status, self.failure.message)

    def _give_back(self, size: int) -> None:
        """Let the peer send `size` bytes anew, in portions that are worth telling."""
        self._spent_bytes += size
        half_bytes = self.connection.limits.stream_window_bytes // 2
        if self._spent_bytes >= half_bytes or self._spent_bytes >= _PORTION_BYTES:
            self._tell_spent()

    def _tell_spent(self) -> None:
        self.connection.consumed(self.id, self._spent_bytes)
        self._held_bytes -= self._spent_bytes
        self._spent_bytes = 0

    def give_back_all(self) -> None:
        """Credit the unread messages of a call that is over to the connection's window."""
        if self._held_bytes:
            self.connection.consumed(self.id, self._held_bytes)
            self._held_bytes = self._spent_bytes = 0
