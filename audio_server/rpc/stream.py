"""One call on a connection: whole messages in, whole messages out.

It stands where grpclib expects its own `grpclib.protocol.Stream`, and differs in what matters
on trio: a message is indivisible. Receiving takes a message only when all of it is there, and
sending queues all of it or, when cancelled before, nothing; so a cancel never splices two
messages (design, trap 2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2.errors import ErrorCodes

from audio_server.rpc.messages import PREFIX_BYTES, MessageReader

if TYPE_CHECKING:
    from audio_server.rpc.connection import Connection

Headers = list[tuple[str, str]]

_AT_ONCE_MAX = 16
"""So many of a crowd of tiny messages are taken at once; for the others a task is woken, which
lets other tasks run in between."""

TakeAtOnce = Callable[[bytes], bool]
"""Takes a message if nothing about it has to be waited for, and says whether it did. If not, it
has changed nothing. Must not block."""

_PORTION_BYTES = 4096
"""Windows are given back in portions of this, or half of a window that is smaller."""

SPARE_BYTES = 4096
"""Of the connection's window, so much is left to single messages. A peer that gives this window
back only for what it has read would else lose its acknowledgements behind sound that it leaves
unread."""


class RpcStream:
    """The two directions of one call. One task reads, one writes; `Connection` feeds it.

    `scope` is cancelled when the call ends from outside (reset, connection lost, deadline,
    drain); `failure` then says with which status. Nobody closes a stream: it is over when
    both ends said so or one has reset it.
    """

    __slots__ = (
        "_at_once",
        "_changed",
        "_fault",
        "_held_bytes",
        "_pending",
        "_reader",
        "_spent_bytes",
        "_trailers",
        "attended",
        "connection",
        "failure",
        "headers",
        "id",
        "local_ended",
        "remote_ended",
        "scope",
        "trailers",
    )

    def __init__(self, connection: Connection, stream_id: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.scope = trio.CancelScope()
        self.failure: GRPCError | None = None
        self.headers: list[tuple[bytes, bytes]] | None = None
        self.trailers: list[tuple[bytes, bytes]] | None = None
        self.attended = False
        self.local_ended = False
        self.remote_ended = False
        self._reader = MessageReader(connection.limits.max_message_bytes)
        self._held_bytes = 0  # of the peer's windows
        self._spent_bytes = 0  # of these: read, but not yet given back
        self._pending = b""
        self._trailers: Headers | None = None
        self._changed: trio.Event | None = None
        self._at_once: TakeAtOnce | None = None
        self._fault: Exception | None = None

    # What the connection tells

    def feed(self, data: bytes, flow_bytes: int) -> None:
        """Take the payload of a DATA frame that cost `flow_bytes` of window.

        Raises `GRPCError` for a message that the peer may not send.
        """
        self._held_bytes += flow_bytes
        self._give_back(flow_bytes - len(data))
        if self._reader.feed(data) and not self._taken_at_once():
            self.notify()
        self._let_rest_in()

    def _let_rest_in(self) -> None:
        """A message under way must be able to arrive, once nothing is unread before it."""
        missing = self._reader.missing_bytes
        if missing and not self._reader.whole:
            self._tell_spent()
            self.connection.want(self.id, missing)

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
        """Wake whoever waits on this stream, to look again."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def _wait_change(self) -> None:
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    # Receiving

    async def receive_headers(self) -> list[tuple[bytes, bytes]]:
        """The peer's first headers (client side). Raises the call's failure if it ends before."""
        while self.headers is None:
            self._raise_failure()
            await self._wait_change()
        return self.headers

    async def receive_message(self, at_once: TakeAtOnce | None = None) -> bytes | None:
        """The next whole message, without its prefix; None when the peer has ended its side.

        Messages that come meanwhile are shown to `at_once`, and those that it takes are not
        received: waking a task costs more than most messages do. What it raises is raised here.

        Raises the call's failure. A cancelled receive has taken nothing.
        """
        # A handler that never has to wait must let others run all the same.
        if self._reader.whole:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._at_once = at_once
            await self._wait_message()
        finally:
            self._at_once = None
        if not self._reader.whole:
            return None
        message = self._take()
        self._let_rest_in()
        return message

    async def _wait_message(self) -> None:
        """Return when there is a whole message, or will be none."""
        while not self._reader.whole:
            self._raise_failure()
            if self.remote_ended:
                return
            await self._wait_change()
            self._raise_fault()

    def _take(self) -> bytes:
        message = self._reader.take()
        self._give_back(len(message) + PREFIX_BYTES)
        return message

    def _taken_at_once(self) -> bool:
        """Whether whoever waits for messages has taken all there are without being woken."""
        try:
            for _ in range(_AT_ONCE_MAX):
                if self._at_once is None or self.scope.cancel_called:
                    return False
                if not self._at_once(self._reader.peek()):
                    return False
                self._take()
                if not self._reader.whole:
                    return True
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
        if self._spent_bytes >= min(_PORTION_BYTES, half_bytes):
            self._tell_spent()

    def _tell_spent(self) -> None:
        self.connection.consumed(self.id, self._spent_bytes)
        self._held_bytes -= self._spent_bytes
        self._spent_bytes = 0

    def give_back_all(self) -> None:
        """The call is over: what nobody will read no longer counts against the connection."""
        if self._held_bytes:
            self.connection.consumed(self.id, self._held_bytes)
            self._held_bytes = self._spent_bytes = 0

    # Sending

    def room(self, *, spare_bytes: int = SPARE_BYTES) -> int:
        """How many bytes would leave at once: what windows and socket take; else 0.

        The last `spare_bytes` of the connection's window are not for those who ask here.
        """
        if self._pending or self.local_ended or self.connection.is_busy:
            return 0
        return self.connection.http2.window(self.id, spare_bytes=spare_bytes)

    def send_nowait(self, frames: bytes) -> None:
        """Take whole framed messages; what the windows do not take is kept in order.

        Callers keep to `room`: past `Limits.max_waiting_bytes` the peer is given up. On a stream
        that is over the bytes are dropped.
        """
        if self.local_ended:
            return
        if self._pending:
            self._pending += frames
            self.connection.bound_waiting()
        else:
            sent = self.connection.http2.send_data(self.id, frames)
            if sent < len(frames):
                self._pending = frames[sent:]
        self.connection.flush_soon()

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the windows."""
        return len(self._pending)

    async def wait_sent(self) -> None:
        """Return when the trailers are on their way, or never will be."""
        while self._trailers is not None and not self.connection.is_deaf:
            await self._wait_change()

    def flush(self) -> None:
        """Hand over what the windows take, and the trailers once nothing is before them."""
        if self._pending:
            sent = self.connection.http2.send_data(self.id, self._pending)
            self._pending = self._pending[sent:]
        if self._trailers is not None and not self._pending:
            self._send_trailers(self._trailers)
        self.connection.flush_soon()

    async def wait_room(self) -> None:
        """Return when there is room. For ever on a stream that is over: its scope is cancelled."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.room():
            await self._wait_change()

    async def send_message(self, framed: bytes) -> None:
        """Queue one framed message, once what was sent before has left.

        Raises the call's failure. A cancelled send has sent nothing, a finished one all.
        """
        await self.wait_message_room()
        self.send_nowait(framed)

    async def wait_message_room(self) -> None:
        """Return when what was sent before has left. Raises the call's failure."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.room(spare_bytes=0):
            self._raise_failure()
            if self.local_ended:
                raise GRPCError(Status.INTERNAL, "the stream was ended by this side already")
            await self._wait_change()

    def end_local(self) -> None:
        """Close our half (client side); nothing can be sent after it."""
        if not self.local_ended and self.connection.http2.is_open(self.id):
            self.local_ended = True
            self.connection.http2.end_stream(self.id)
            self.connection.flush_soon()

    def _send_trailers(self, trailers: Headers) -> None:
        self._trailers = None
        http2 = self.connection.http2
        http2.send_headers(self.id, trailers, end_stream=True)
        # Only a reset tells a peer that is still sending that nobody listens (section 8.1).
        http2.reset(self.id, ErrorCodes.NO_ERROR)
        self.connection.settle(self)

    # What `grpclib.server.Stream` calls

    def accept(self) -> None:
        """Answer the request with the headers that every gRPC answer begins with."""
        if not self.local_ended:
            self.connection.http2.accept(self.id)
            self.connection.flush_soon()

    async def send_headers(self, headers: Headers, end_stream: bool = False) -> None:
        """Send headers now, or trailers (`end_stream`) after all data that waits."""
        if self.local_ended:
            return
        if end_stream:
            self.local_ended = True
            self._trailers = headers
            self.flush()
        else:
            self.connection.http2.send_headers(self.id, headers)
            self.connection.flush_soon()

    async def reset(self, error_code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        self.reset_nowait(error_code)

    def reset_nowait(self, error_code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """End the stream at once in both directions, without status."""
        self.drop()
        self.connection.http2.reset(self.id, error_code)
        self.connection.flush_soon()
        self.connection.settle(self)

    def drop(self) -> None:
        """Nothing can be sent any more, nor what waited to be."""
        self.local_ended = True
        self._pending = b""
        self._trailers = None
        self.notify()

    @property
    def closable(self) -> bool:
        """False: the reset that follows trailers is sent with them."""
        return False
