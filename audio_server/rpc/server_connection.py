"""The server's end of a connection: it accepts requests, and bounds the acts of its client.

An edge is where a fault stops: an error of a handler becomes that call's status (`CallRunner`), and
an act of a peer ends at most its own connection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog
import trio
from grpclib.const import Handler, Status
from grpclib.exceptions import GRPCError
from h2 import events
from h2.errors import ErrorCodes

from audio_server.rpc.call_runner import CallRunner
from audio_server.rpc.connection import Connection
from audio_server.rpc.errors import MalformedRequestError, RefusedRequestError
from audio_server.rpc.headers import Request, parse_request, refusal
from audio_server.rpc.http2.flood_guard import FloodGuard
from audio_server.rpc.http2.frames import ACK, LAST_POSSIBLE_STREAM, PING, Frame
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

    __slots__ = ("_client_leaves", "_complaints", "_disowned", "_flood_guard", "_meter",
                 "_on_identified", "_refusing", "_runner", "_services", "_unidentified",
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
        self._runner = CallRunner(self._meter, self.peer, limits.unread_s)
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
        return self._intake.timers.started_at

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

    def on_goaway(self, frame: Frame) -> None:
        """End with the last call: the client opens no more."""
        super().on_goaway(frame)
        self._client_leaves = True
        self._stop_if_done()

    @property
    def may_idle(self) -> bool:
        """Whether there is no call."""
        return not self.streams

    def watch(self, frame: Frame) -> None:
        """Count a frame. Raises `PeerError` past a limit."""
        self._flood_guard.note(frame, self._intake.timers.received_at, answered=self.http2.spoke)
        if frame.type == PING and not frame.flags & ACK:
            self.http2.spoke = False

    def on_event(self, event: events.Event, calls: trio.Nursery) -> None:
        """Take a request."""
        if isinstance(event, events.RequestReceived):
            self._on_request(event, calls)

    def note_fault_reset(self) -> None:
        """Count a reset of ours for a fault of the client."""
        self._flood_guard.note_reset(self._intake.timers.received_at)

    def _on_request(self, event: events.RequestReceived, calls: trio.Nursery) -> None:
        stream_id = event.stream_id
        self._intake.delay_s = self._flood_guard.delay_s(stream_id, self._intake.timers.received_at)
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
        self.note_fault_reset()

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
        if self._scheduler is not None:
            self._scheduler.count(CALLER)
        self._runner.start(stream, request, method, calls)

    def call_over(self, stream: RpcStream) -> None:
        """Forget a call whose handler has returned."""
        self._note_identified(stream)
        self.release(stream)

    def _note_unidentified(self) -> None:
        self._unidentified += 1
        if self._unidentified > self.limits.max_unidentified_calls:
            self._intake.check_by(
                self._intake.timers.identities_due_at(self._intake.timers.received_at)
            )

    def _note_identified(self, stream: RpcStream) -> None:
        """A call is known to be a device's, or is over."""
        if not stream.is_identified:
            stream.is_identified = True
            self._unidentified -= 1
            if self._unidentified <= self.limits.max_unidentified_calls:
                self._intake.timers.identities_settled()


def _detail(words: str | bytes) -> dict[str, object]:
    return {"detail": log_text(words)} if words else {}


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
