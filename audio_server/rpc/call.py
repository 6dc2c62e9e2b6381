"""A call as handlers see it: grpclib's `Stream`, on messages that are whole or not there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

import trio
from google.protobuf.message import DecodeError
from grpclib.const import Handler, Status
from grpclib.encoding.proto import ProtoCodec
from grpclib.events import _DispatchServerEvents
from grpclib.exceptions import GRPCError, ProtocolError
from grpclib.metadata import Deadline
from grpclib.server import Stream

from audio_server.rpc.framing import frame_message
from audio_server.rpc.headers import Request
from audio_server.rpc.inbound import TakeAtOnce
from audio_server.rpc.stream import RpcStream

# Both are without state: grpclib's events have no listeners here.
_CODEC = ProtoCodec()
_DISPATCH = _DispatchServerEvents()


class FrameWriter(Protocol):
    """The way out for messages that are framed already."""

    def room(self) -> int:
        """How many bytes would leave at once; 0 while the peer does not take any."""

    def send_nowait(self, frames: bytes) -> None:
        """Take whole framed messages, in order; callers keep to `room` but for one message."""

    def send_at_once(self, frames: bytes) -> bool:
        """Write whole framed messages in this turn; False, and none, without room for all."""

    async def wait_room(self) -> None:
        """Return when there is room."""


class ServerCall(Stream[Any, Any]):
    """The object that a handler gets. Receiving and sending are atomic under cancellation.

    Raises `GRPCError` when the call ends from outside; an undecodable message is INTERNAL
    and the client's fault. The connection closes the call when its handler returns.
    """

    def __init__(self, stream: RpcStream, request: Request, method: Handler) -> None:
        deadline_s = request.deadline_s
        super().__init__(
            cast(Any, stream),
            request.path,
            method.cardinality,
            method.request_type,
            method.reply_type,
            codec=_CODEC,
            status_details_codec=None,
            dispatch=_DISPATCH,
            deadline=None if deadline_s is None else Deadline.from_timeout(deadline_s),
            user_agent=request.user_agent,
        )
        self.metadata = request.metadata
        self._rpc = stream

    @property
    def connection_number(self) -> int:
        """Grows with every connection that the server accepts."""
        return getattr(self._rpc.connection, "number", 0)

    @property
    def reads(self) -> int:
        """The number of the read with which the last bytes of the connection came."""
        return self._rpc.connection.reads

    @property
    def transport(self) -> trio.abc.Stream:
        """The stream of the connection; neither read from it nor write to it."""
        return self._rpc.connection.transport

    @property
    def scope(self) -> trio.CancelScope:
        """The cancel scope of the handler."""
        return self._rpc.scope

    def identified(self) -> None:
        """Mark the caller's id as known and proved: its connection counts as authenticated."""
        self._rpc.connection.identified(self._rpc)

    def revoke(self) -> None:
        """Withdraw the client's right to this call: without another call its connection ends."""
        self._rpc.connection.revoke()

    def log_peer_error(self, reason: str, **details: object) -> None:
        """Have a fault of the client's logged, once for each connection and reason."""
        self._rpc.connection.log_peer_error(reason, **details)

    async def recv_message(self) -> Any:
        """The client's next message; None when it has ended its side."""
        data = await self._rpc.receive_message()
        return None if data is None else self.decode(data)

    def recv_bytes(self, at_once: TakeAtOnce) -> Awaitable[bytes | None]:
        """Return the client's next message undecoded; None when it has ended its side.

        Messages that come meanwhile are offered to `at_once`, which must not block; those that it
        takes do not wake this task. An error that it raises is raised here.
        """
        return self._rpc.receive_message(at_once)

    def interrupt(self, error: Exception) -> None:
        """Have the handler raise `error` where it waits for a message, now or the next time."""
        self._rpc.interrupt(error)

    def decode(self, data: bytes) -> Any:
        """The message that a client has sent as `data`. Raises `GRPCError`, the client's fault."""
        try:
            return self._codec.decode(data, self._recv_type)
        except DecodeError:
            raise GRPCError(Status.INTERNAL, "a message cannot be decoded") from None

    async def send_initial_metadata(self, *, metadata: Any = None) -> None:
        """Send the answer's headers, once; done with the first message at the latest."""
        if metadata:
            await super().send_initial_metadata(metadata=metadata)
        elif not self._send_initial_metadata_done:
            self._rpc.accept()
            self._send_initial_metadata_done = True

    async def send_message(self, message: Any) -> None:
        """Queue a message once there is room for it."""
        framed = frame_message(self._codec.encode(message, self._send_type))
        await self.send_framed(framed)

    async def send_framed(self, framed: bytes) -> None:
        """Queue one message that is serialised and framed already."""
        if not self._send_initial_metadata_done:
            await self.send_initial_metadata()
        if not self._cardinality.server_streaming and self._send_message_done:
            raise ProtocolError("Message was already sent")
        await self._rpc.send_message(framed)
        self._send_message_done = True

    def when_room(self, do: Callable[[], None] | None) -> None:
        """Run `do` once, as `when_quiet` does, when a message would leave at once again; None takes
        that back."""
        self._rpc.when_room(do)

    @property
    def has_room(self) -> bool:
        """Whether a message would leave at once. The answer's headers must have been sent."""
        return self._rpc.room(spare_bytes=0) > 0

    def send_nowait(self, framed: bytes) -> None:
        """Queue one message that is serialised and framed; the caller has checked that there is
        room."""
        self._rpc.send_nowait(framed)

    def send_alone(self, framed: bytes) -> None:
        """As `send_nowait`, for a message that nothing follows: it is written in this turn, unless
        other bytes wait, with which it is written."""
        if not self._rpc.send_at_once(framed):
            self._rpc.send_nowait(framed)

    def when_quiet(self, do: Callable[[], None]) -> None:
        """Run `do` soon, after the urgent work of other clients when there is much of it. It must
        not block; if it raises, that ends the connection."""
        self._rpc.connection.when_quiet(do)

    async def open_writer(self) -> FrameWriter:
        """Send the initial metadata, then give the way out for framed messages."""
        if not self._send_initial_metadata_done:
            await self.send_initial_metadata()
        return self._rpc
