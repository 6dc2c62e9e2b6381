"""One call on a connection: whole messages in, whole messages out.

It stands where grpclib expects its own `grpclib.protocol.Stream`, and differs where trio needs it:
a message is indivisible. Receiving takes a message only when all of it is there, and sending queues
all of it or, when cancelled before, nothing; so a cancel never splices two messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2.errors import ErrorCodes

from audio_server.rpc.inbound import InboundHalf

if TYPE_CHECKING:
    from audio_server.rpc.connection import Connection

Headers = list[tuple[str, str]]

SPARE_BYTES = 4096
"""Bytes of the connection's window that are left to single messages. A peer that credits this
window only for bytes that it has read would otherwise lose its acknowledgements behind sound that
it leaves unread."""


class RpcStream(InboundHalf):
    """The two directions of one call. One task reads, one writes; `Connection` feeds it.

    A stream needs no close: it is over when both ends have ended it or one has reset it.
    """

    __slots__ = ("_http2", "_pending", "_trailers", "_when_room", "_write_buffer", "has_handler",
                 "is_identified", "local_ended", "trailers")  # fmt: skip

    def __init__(self, connection: Connection, stream_id: int) -> None:
        super().__init__(connection, stream_id)
        # For refills: of many devices none is in the caches, and each object on the way is a wait.
        self._http2 = connection.http2
        self._write_buffer = connection.write_buffer
        self.trailers: list[tuple[bytes, bytes]] | None = None
        self.has_handler = False
        self.is_identified = False
        self.local_ended = False
        self._pending = b""
        self._trailers: Headers | None = None
        self._when_room: Callable[[], None] | None = None

    # Sending

    def room(self, *, spare_bytes: int = SPARE_BYTES) -> int:
        """Return the number of bytes that would leave at once, through windows and socket; else 0.

        The last `spare_bytes` of the connection's window are not for callers of this.
        """
        if self._pending or self.local_ended or self.connection.is_busy:
            return 0
        return self._http2.window(self.id, spare_bytes=spare_bytes)

    def send_nowait(self, frames: bytes) -> None:
        """Take whole framed messages; bytes past the windows are kept in order.

        Callers keep to `room`: past `Limits.max_waiting_bytes` the peer is given up. On a stream
        that is over the bytes are dropped.
        """
        if self.local_ended:
            return
        if self._pending:
            self._pending += frames
            self.connection.bound_waiting()
        else:
            sent = self._http2.send_data(self.id, frames)
            if sent < len(frames):
                self._pending = frames[sent:]
        self.connection.flush_soon()

    def send_at_once(self, frames: bytes) -> bool:
        """Write whole framed messages in this turn, in a write of their own.

        False, and nothing was sent, if there is no room for all of them or anything waits before
        them: then `room` and `send_nowait` are the way.
        """
        http2 = self._http2
        if self._pending or self.local_ended or http2.out:
            return False
        frame = http2.frame_data(self.id, frames, SPARE_BYTES)
        if frame is None:
            return False
        self._write_buffer.write_now(frame)
        return True

    @property
    def waiting_bytes(self) -> int:
        """How much waits for the windows."""
        return len(self._pending)

    async def wait_sent(self) -> None:
        """Return when the trailers are on their way, or never will be."""
        while self._trailers is not None and not self.connection.reading_stopped:
            await self._wait_change()

    def flush(self) -> None:
        """Send the bytes that the windows take, and the trailers once no bytes are before them."""
        if self._pending:
            sent = self._http2.send_data(self.id, self._pending)
            self._pending = self._pending[sent:]
        if self._trailers is not None and not self._pending:
            self._send_trailers(self._trailers)
        self.connection.flush_soon()

    async def wait_room(self) -> None:
        """Return when there is room. For ever on a stream that is over: its scope is cancelled."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.room():
            await self._wait_change()

    def when_room(self, do: Callable[[], None] | None) -> None:
        """Run `do` once, when quiet, as soon as a message would leave at once."""
        self._when_room = do

    def tell_room(self) -> None:
        """There may be room: the windows or the socket take more."""
        do = self._when_room
        if do is not None and self.room(spare_bytes=0):
            self._when_room = None
            self.connection.when_quiet(do)

    async def send_message(self, framed: bytes) -> None:
        """Queue one framed message, once the bytes before it have left.

        Raises the call's failure. A cancelled send has sent nothing, a finished one all.
        """
        await self.wait_message_room()
        self.send_nowait(framed)

    async def wait_message_room(self) -> None:
        """Return when the bytes before have left. Raises the call's failure."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self.room(spare_bytes=0):
            self._raise_failure()
            if self.local_ended:
                raise GRPCError(Status.INTERNAL, "the stream was ended by this side already")
            await self._wait_change()

    def end_local(self) -> None:
        """Close our half (client side); nothing can be sent after it."""
        if not self.local_ended and self._http2.is_open(self.id):
            self.local_ended = True
            self._http2.end_stream(self.id)
            self.connection.flush_soon()

    def _send_trailers(self, trailers: Headers) -> None:
        self._trailers = None
        http2 = self._http2
        http2.send_headers(self.id, trailers, end_stream=True)
        # Only a reset stops a peer that is still sending (section 8.1).
        http2.reset(self.id, ErrorCodes.NO_ERROR)
        self.connection.release(self)

    # Called by `grpclib.server.Stream`

    def accept(self) -> None:
        """Answer the request with the headers that every gRPC answer begins with."""
        if not self.local_ended:
            self._http2.accept(self.id)
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
            self._http2.send_headers(self.id, headers)
            self.connection.flush_soon()

    async def reset(self, error_code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        self.reset_nowait(error_code)

    def reset_nowait(self, error_code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """End the stream at once in both directions, without status."""
        self.drop()
        self._http2.reset(self.id, error_code)
        self.connection.flush_soon()
        self.connection.release(self)

    def drop(self) -> None:
        """Drop the bytes that wait: nothing can be sent from now on."""
        self.local_ended = True
        self._pending = b""
        self._trailers = None
        self.notify()

    @property
    def closable(self) -> bool:
        """False: the reset that follows trailers is sent with them."""
        return False
