"""One HTTP/2 connection on a trio stream: its tasks and its calls.

A connection has one part for each concern: `ConnectionState` is the protocol without I/O, `Intake`
reads frames and keeps the deadlines of the peer, `Dispatcher` maps frames to calls, `WriteBuffer`
carries bytes out. `Connection` has the tasks between them and a transport. `ServerConnection` and
`ClientConnection` are its two kinds: they differ in the end that opens calls.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2 import events
from h2.errors import ErrorCodes

from audio_server.rpc.dispatch import Dispatcher
from audio_server.rpc.errors import PeerError, PeerSilentError
from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import Frame, FrameReader, goaway_words
from audio_server.rpc.http2.timers import PeerTimers
from audio_server.rpc.intake import Intake
from audio_server.rpc.io.epoll import Poller
from audio_server.rpc.io.fair_queue import ReadScheduler
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.io.reader import Reader
from audio_server.rpc.io.sockets import Transport, stream_of
from audio_server.rpc.io.writer import BatchWriter, WriteBuffer
from audio_server.rpc.limits import Limits
from audio_server.rpc.log_text import log_text
from audio_server.rpc.stream import RpcStream

log = structlog.get_logger()

FINISHED = "the server ended the connection"
CLOSED = "the peer closed the connection"


class Connection:
    """The common part of both ends. `run` serves it and closes the transport."""

    __slots__ = ("__weakref__", "_answers_waiting", "_closing", "_dispatcher", "_intake",
                 "_is_accused", "_lingers", "_nursery", "_scheduler", "_transport", "_was_busy",
                 "http2", "limits", "peer", "reading_stopped", "streams",
                 "write_buffer")  # fmt: skip

    client_side = False

    def __init__(
        self,
        transport: Transport,
        *,
        limits: Limits,
        batch_writer: BatchWriter | None = None,
        scheduler: ReadScheduler | None = None,
        poller: Poller | None = None,
        peer: Peer | None = None,
    ) -> None:
        self.http2 = ConnectionState(limits, client_side=self.client_side)
        self.limits = limits
        self.streams: dict[int, RpcStream] = {}
        self.peer = peer or Peer(transport)
        self.reading_stopped = False
        """Whether reading has ended, so that no window will open."""
        self._is_accused = False  # by a GOAWAY with an error, which is logged once
        self._lingers = False
        self._closing: trio.CancelScope | None = None
        self._transport = transport
        self._scheduler = scheduler
        self._dispatcher = Dispatcher(self.http2, self.streams)
        frames = FrameReader(limits, client_side=self.client_side)
        timers = PeerTimers(limits, frames, trio.current_time())
        source = Reader(transport, scheduler, poller)
        self._intake = Intake(source, frames, timers, self._dispatcher)
        self.write_buffer = WriteBuffer(self.http2.out, transport, batch_writer, self._on_drained)
        self._was_busy = False
        self._answers_waiting = 0
        self._nursery: trio.Nursery | None = None

    @property
    def transport(self) -> trio.abc.Stream:
        """The stream under the connection and under its TLS; neither read from it nor write to
        it."""
        return stream_of(self._transport)

    def get_peer(self) -> Peer:
        """Return the other end (named as grpclib calls it)."""
        return self.peer

    @property
    def reads(self) -> int:
        """How often bytes of the peer have come."""
        return self._intake.reads

    def consumed(self, stream_id: int, size: int) -> None:
        """The application has `size` bytes that the peer sent: they may be sent anew."""
        self.http2.consumed(stream_id, size)
        self.flush_soon()

    def ensure_window(self, stream_id: int, size: int) -> None:
        """See to it that the peer may send `size` bytes on a stream."""
        self.http2.ensure_window(stream_id, size)
        self.flush_soon()

    def release(self, stream: RpcStream) -> None:
        """Forget a call that is over on the wire and has no task left."""
        if stream.has_handler or self.http2.is_open(stream.id):
            return
        if self.streams.pop(stream.id, None) is not None:
            stream.give_back_all()
            self._intake.timers.called_at = trio.current_time()

    @property
    def is_busy(self) -> bool:
        """Whether the socket takes less than we have for it."""
        busy = len(self.http2.out) > self.limits.busy_bytes
        if busy:
            self._was_busy = True
        return busy

    def flush_soon(self) -> None:
        """Have waiting bytes written; give up a peer that lets too many of them wait."""
        if len(self.http2.out) > self.limits.max_waiting_bytes:
            self.abort("the peer does not read")
        self.write_buffer.flush_soon()

    def call_over(self, stream: RpcStream) -> None:
        """The handler of a call has returned."""

    def identified(self, stream: RpcStream) -> None:
        """The caller's id is known, and so is the peer."""

    def revoke(self) -> None:
        """The peer has lost the right to its calls."""

    def log_peer_error(self, reason: str, **details: object) -> None:
        """Log a fault of the peer."""

    def when_quiet(self, do: Callable[[], None]) -> None:
        """Run `do` once the urgent work of other peers is done. It must not block; if it fails, it
        ends this connection alone."""
        if self._scheduler is None:
            self._do(do)
        else:
            self._scheduler.when_quiet(partial(self._do, do))

    def _do(self, do: Callable[[], None]) -> None:
        try:
            do()
        except Exception:
            log.exception("connection failed", peer=str(self.peer))
            self.abort("a fault of the server")

    def note_dropped(self, reason: str) -> None:
        """We end the connection, for something that the peer did or did not do."""

    def _note_end(self, reason: str) -> None:
        """Keep the first reason of the end of the connection."""
        self.peer.end_reason = self.peer.end_reason or reason

    def abort(self, reason: str, *, silent: bool = False) -> None:
        """End the connection now and without a GOAWAY: its peer is silent, or does not read."""
        self._note_end(reason)
        if not self.write_buffer.broken:
            log.info("connection aborted", peer=str(self.peer), reason=reason)
            self.note_dropped("silent" if silent else "not_reading")
        self.give_way()

    def give_way(self) -> None:
        """End the connection now, without a GOAWAY and without a line of log."""
        self.write_buffer.close()
        if self._closing is not None:
            self._closing.cancel()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def finish(self) -> None:
        """End the connection as if the peer had closed it: waiting bytes are still sent."""
        self._intake.finish()

    async def run(self) -> None:
        """Serve the connection until it ends; every call of it has ended then.

        Returns when the peer closes, breaks a rule (it gets a GOAWAY) or falls silent. Raises
        nothing that the peer could cause. Cancelling it ends all calls; the transport is closed
        in any case.
        """
        try:
            async with trio.open_nursery() as self._nursery:
                self.write_buffer.start(self._nursery)
                await self._read_all(self._nursery)
                self.flush_soon()
                # The rest are calls that are ending, and the last bytes on their way.
                give_up_at = trio.current_time() + self.limits.close_timeout_s
                self._nursery.cancel_scope.deadline = give_up_at
        finally:
            await self._close()

    async def _read_all(self, calls: trio.Nursery) -> None:
        """Read until there is nothing more to come; calls are started in `calls`."""
        try:
            self.flush_soon()
            await self._intake.run(self, calls)
            self._note_end(
                "the server ended the connection" if self._intake.is_finished else CLOSED
            )
        except PeerError as error:
            self._note_end(f"the peer broke HTTP/2: {error}")
            self._lingers = True
            more = {"detail": log_text(error.detail)} if error.detail else {}
            log.info("peer broke the rules", peer=str(self.peer), reason=str(error), **more)
            self.note_dropped(error.code.name.lower())
            self.http2.goaway(error.code, error.reason, last_stream_id=self.http2.last_stream_id)
        except PeerSilentError as error:
            self.abort(str(error), silent=True)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._note_end("the connection broke")
            self.write_buffer.close()
        finally:
            self.reading_stopped = True
            self._end_calls(GRPCError(Status.UNAVAILABLE, "the connection was lost"))

    def bound_waiting(self) -> None:
        """Give up a peer for which too much waits behind windows that it does not open."""
        waiting_bytes = sum(stream.waiting_bytes for stream in self.streams.values())
        if waiting_bytes > self.limits.max_waiting_bytes:
            self.abort("the peer does not read")

    def _end_calls(self, failure: GRPCError) -> None:
        for stream in list(self.streams.values()):
            stream.fail(failure)
            stream.notify()

    async def _close(self) -> None:
        with trio.move_on_after(self.limits.close_timeout_s, shield=True) as self._closing:
            await self.write_buffer.end()
            if self._lingers and not self.write_buffer.broken:
                await self._intake.linger()
        self.write_buffer.close()
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._transport)
        # Reference counts free it all: old objects are never collected (`gc_policy`).
        self.http2.break_cycles()
        self.streams.clear()
        self._nursery = None

    @property
    def may_idle(self) -> bool:
        """Whether the connection is there for nothing just now."""
        return False

    # Acts of the peer

    def on_event(self, event: events.Event, calls: trio.Nursery) -> None:
        """See `End`."""

    def on_reset(self, stream: RpcStream, event: events.StreamReset) -> None:
        """See `End`."""
        stream.fail(GRPCError(Status.CANCELLED, f"reset by the peer ({event.error_code})"))

    def on_bad_stream(self, stream: RpcStream, error: GRPCError) -> None:
        """See `End`."""
        stream.fail(error)

    def note_fault_reset(self) -> None:
        """See `End`."""

    def count_answer(self) -> None:
        """See `End`."""
        self._answers_waiting += 1
        if self._answers_waiting > self.limits.max_waiting_answers:
            self.abort("the peer does not read")

    def watch(self, frame: Frame) -> None:
        """Raises `PeerError` for a peer that does not keep measure."""

    def on_goaway(self, frame: Frame) -> None:
        """The peer opens no more calls; those that are open go on."""
        if frame.stream_id:
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "a GOAWAY on a stream")
        code, text = goaway_words(frame)
        if code and not self._is_accused:
            self._is_accused = True
            log.info("peer sent GOAWAY", peer=str(self.peer), code=code, text=log_text(text))

    def _on_drained(self) -> None:
        self._answers_waiting = 0
        if self._was_busy:
            self._was_busy = False
            self._dispatcher.on_room()
