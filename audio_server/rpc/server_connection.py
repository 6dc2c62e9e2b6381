"""The server's end: requests become handlers in tasks of their own, with one edge round each.

An edge is where a fault stops: an error of a handler becomes that call's status, and an act of a
peer ends at most its own connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
import trio
from grpclib.const import Handler, Status
from grpclib.exceptions import GRPCError, ProtocolError
from h2 import events
from h2.errors import ErrorCodes

from audio_server.rpc.call import ServerCall
from audio_server.rpc.connection import Connection
from audio_server.rpc.errors import MalformedRequestError, RefusedRequestError
from audio_server.rpc.headers import Request, parse_request, refusal
from audio_server.rpc.http2.connection_state import LAST_POSSIBLE_STREAM
from audio_server.rpc.http2.flood_guard import FloodGuard
from audio_server.rpc.http2.frames import ACK, PING, Frame
from audio_server.rpc.instrumentation import Instrumentation
from audio_server.rpc.io.epoll import Poller
from audio_server.rpc.io.fair_queue import CALLER, ReadScheduler
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.io.sockets import Transport
from audio_server.rpc.io.writer import BatchWriter
from audio_server.rpc.limits import Limits
from audio_server.rpc.log_text import log_text
from audio_server.rpc.stream import RpcStream

log = structlog.get_logger()

SETTLE_S = 1.0
"""Time between two GOAWAYs: calls that were on their way have arrived by then."""

STOPPING = "the server is shutting down"

Services = Mapping[str, Handler]
"""Path of a method to its handler: grpclib's `__mapping__` of one service or several."""


class ServerConnection(Connection):
    """One accepted connection. `run` serves it to its end; `drain` ends it politely."""

    __slots__ = ("_accepted", "_client_leaves", "_complaints", "_disowned", "_flood_guard",
                 "_meter", "_on_identified", "_refusing", "_services", "_unidentified",
                 "number")  # fmt: skip

    def __init__(
        self,
        services: Services,
        transport: Transport,
        *,
        limits: Limits,
        number: int,
        batch_writer: BatchWriter | None = None,
        scheduler: ReadScheduler | None = None,
        poller: Poller | None = None,
        on_identified: Callable[[], None] | None = None,
        meter: Instrumentation | None = None,
        peer: Peer | None = None,
    ) -> None:
        super().__init__(
            transport,
            limits=limits,
            batch_writer=batch_writer,
            scheduler=scheduler,
            poller=poller,
            peer=peer,
        )
        self.number = number
        self._on_identified = on_identified
        self._meter = meter or Instrumentation()
        self._services = services
        self._refusing = False
        self._client_leaves = False
        self._disowned = False
        self._complaints: tuple[str, ...] = ()
        self._flood_guard = FloodGuard(limits)
        self._accepted: list[tuple[RpcStream, ServerCall, Handler]] = []
        self._unidentified = 0  # calls that have a handler

    def identified(self, stream: RpcStream) -> None:
        """The client has said whose call this is, and that is so: it is authenticated."""
        self._note_identified(stream)
        self._disowned = False
        if self._on_identified is not None:
            self._on_identified()

    def revoke(self) -> None:
        """End the connection when it has no call: others on it, as of a proxy, go on."""
        self._disowned = True

    def note_dropped(self, reason: str) -> None:
        self._meter.connection_dropped(reason)

    @property
    def opened_at(self) -> float:
        """When it began, by trio's clock."""
        return self._timers.started_at

    async def drain(self, *, settle_s: float = SETTLE_S) -> None:
        """Tell the client to go, end its calls with UNAVAILABLE, then the connection.

        Two GOAWAYs, `settle_s` apart, so that calls already on their way are not lost without
        a word (RFC 9113 section 6.8). Returns when the calls have been told; `run` ends once
        they are over. Cancelling it leaves the connection as it is.
        """
        self.announce_end()
        if self.streams:
            await trio.sleep(settle_s)
        self.end_calls(STOPPING)

    def announce_end(self) -> None:
        """Send the first GOAWAY: the client is to open its next calls elsewhere."""
        self.http2.goaway(ErrorCodes.NO_ERROR, last_stream_id=LAST_POSSIBLE_STREAM)
        self.flush_soon()

    def end_calls(self, reason: str) -> None:
        """Send the last GOAWAY, and end all calls with UNAVAILABLE, then the connection."""
        self._refusing = True
        self._note_end(reason)
        self.http2.goaway(ErrorCodes.NO_ERROR, last_stream_id=self.http2.last_stream_id)
        self._end_calls(GRPCError(Status.UNAVAILABLE, reason))
        self.flush_soon()
        self._stop_if_done()

    def release(self, stream: RpcStream) -> None:
        super().release(stream)
        self._stop_if_done()

    def _stop_if_done(self) -> None:
        if self.streams:
            return
        if self._disowned and not self._refusing:
            self._refusing = True
            self.http2.goaway(ErrorCodes.NO_ERROR, last_stream_id=self.http2.last_stream_id)
        if self._refusing or self._client_leaves:
            self.finish()

    def _on_goaway(self, frame: Frame) -> None:
        super()._on_goaway(frame)
        self._client_leaves = True
        self._stop_if_done()

    @property
    def _may_idle(self) -> bool:
        return not self.streams

    def _watch(self, frame: Frame) -> None:
        self._flood_guard.note(frame, self._timers.received_at, answered=self.http2.spoke)
        if frame.type == PING and not frame.flags & ACK:
            self.http2.spoke = False

    def _on_event(self, event: events.Event, calls: trio.Nursery) -> None:
        if isinstance(event, events.RequestReceived):
            self._on_request(event, calls)
            return
        super()._on_event(event, calls)
        if isinstance(event, events.StreamReset) and not event.remote_reset:
            self._flood_guard.note_reset(self._timers.received_at)

    def _on_request(self, event: events.RequestReceived, calls: trio.Nursery) -> None:
        stream_id = event.stream_id
        self._delay_s = self._flood_guard.delay_s(stream_id, self._timers.received_at)
        if self._refusing:
            self._meter.request_refused("draining")
            self.http2.reset(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        if len(self.streams) >= self.limits.max_streams:
            self._meter.request_refused("too_many_calls")
            self._reset_for_fault(stream_id, ErrorCodes.REFUSED_STREAM)
            return
        try:
            request = parse_request(event.headers, self.limits)
            method = self._services.get(request.path)
            if method is None:
                raise refusal(
                    Status.UNIMPLEMENTED, "no such method", request.path, kind="unknown_method"
                )
        except MalformedRequestError as error:
            self.log_peer_error(error.reason, **_detail(error.detail))
            self._meter.request_refused("not_http")
            self._reset_for_fault(stream_id, ErrorCodes.PROTOCOL_ERROR)
        except RefusedRequestError as error:
            self.log_peer_error(error.reason, **_detail(error.detail))
            self._meter.request_refused(error.kind)
            self.http2.send_headers(stream_id, error.headers, end_stream=True)
            self.http2.reset(stream_id, ErrorCodes.NO_ERROR)
        else:
            self._accept(stream_id, request, method, calls)

    def _reset_for_fault(self, stream_id: int, code: ErrorCodes) -> None:
        self.http2.reset(stream_id, code)
        self._flood_guard.note_reset(self._timers.received_at)

    def log_peer_error(self, reason: str, **details: object) -> None:
        """One line per connection and reason, however often a peer repeats it."""
        if reason not in self._complaints and len(self._complaints) < 16:
            self._complaints += (reason,)
            log.info("request refused", peer=str(self.peer), reason=reason, **details)

    def _accept(
        self, stream_id: int, request: Request, method: Handler, calls: trio.Nursery
    ) -> None:
        # The stream and its cancel scope exist before the task has run: a reset may come first.
        stream = self.streams[stream_id] = RpcStream(self, stream_id)
        stream.has_handler = True
        if request.deadline_s is not None:
            stream.scope.deadline = trio.current_time() + request.deadline_s
        self._note_unidentified()
        self._accepted.append((stream, ServerCall(stream, request, method), method))
        self._meter.call_begun(request.path)
        if self._scheduler is not None:
            self._scheduler.count(CALLER)
        calls.start_soon(self._serve_call, name="call")

    async def _serve_call(self) -> None:
        """The edge round one request: of those that were accepted, the one that is next.

        trio begins tasks in any order, and of two calls that come together the later one is to
        be the newer to its handler too.
        """
        stream, call, method = self._accepted.pop(0)
        status = Status.CANCELLED
        try:
            failure = await self._run_handler(call, stream, method)
            status = Status.OK if failure is None else failure.status
            await self._answer(call, failure)
            await self._see_off(stream)
        finally:
            self._meter.call_ended(call._method_name, status)
            stream.has_handler = False
            self._note_identified(stream)
            self.release(stream)

    def _note_unidentified(self) -> None:
        self._unidentified += 1
        if self._unidentified > self.limits.max_unidentified_calls:
            self._alarm_at(self._timers.identities_due_at(self._timers.received_at))

    def _note_identified(self, stream: RpcStream) -> None:
        """A call is known to be a device's, or is over."""
        if not stream.is_identified:
            stream.is_identified = True
            self._unidentified -= 1
            if self._unidentified <= self.limits.max_unidentified_calls:
                self._timers.identities_settled()

    async def _see_off(self, stream: RpcStream) -> None:
        """Reset a stream whose status the peer does not take in time."""
        with trio.move_on_after(self.limits.unread_s) as patience:
            await stream.wait_sent()
        if patience.cancelled_caught:
            stream.reset_nowait(ErrorCodes.CANCEL)

    async def _run_handler(
        self, call: ServerCall, stream: RpcStream, method: Handler
    ) -> GRPCError | None:
        """Run a handler; return its failure as the status for the client."""
        failure: GRPCError | None = None
        try:
            with stream.scope:
                await trio.lowlevel.checkpoint_if_cancelled()  # a call reset by now never begins
                await method.func(call)
        except* GRPCError as group:
            failure = _first(group)
        except* Exception:
            log.exception("handler failed", peer=str(self.peer), method=call._method_name)
            failure = GRPCError(Status.UNKNOWN, "Internal Server Error")
        if stream.failure is not None:
            return stream.failure
        if failure is None and stream.scope.cancelled_caught:
            return GRPCError(Status.DEADLINE_EXCEEDED, "Deadline exceeded")
        return failure

    async def _answer(self, call: ServerCall, failure: GRPCError | None) -> None:
        """Send the call's status, unless the handler has. Never blocks, so is never cancelled."""
        if call._send_trailing_metadata_done or call._cancel_done:
            return
        try:
            if failure is None:
                await call.send_trailing_metadata()
            else:
                await call.send_trailing_metadata(
                    status=failure.status, status_message=failure.message
                )
        except ProtocolError:
            log.exception(
                "handler broke its contract", peer=str(self.peer), method=call._method_name
            )
            await call.send_trailing_metadata(status=Status.INTERNAL)


def _detail(words: str | bytes) -> dict[str, object]:
    return {"detail": log_text(words)} if words else {}


def _first(group: BaseExceptionGroup[GRPCError]) -> GRPCError:
    """One error of a group, wherever in it: a call has one status."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, GRPCError)
    # A copy: its traceback would keep the call that keeps it.
    return GRPCError(error.status, error.message, error.details)


async def serve_connection(
    services: Services,
    transport: Transport,
    *,
    limits: Limits | None = None,
    number: int = 0,
    batch_writer: BatchWriter | None = None,
) -> None:
    """Serve gRPC on one transport until the peer is gone; see `Connection.run`."""
    await ServerConnection(
        services, transport, limits=limits or Limits(), number=number, batch_writer=batch_writer
    ).run()
