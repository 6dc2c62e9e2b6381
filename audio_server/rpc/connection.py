"""One HTTP/2 connection on a trio stream: its tasks and its calls.

One concern each: `ConnectionState` is the protocol without I/O, `Reader` and `WriteBuffer` carry
bytes in and out, `PeerTimers` holds the deadlines of the peer, `Dispatcher` maps frames to calls,
and `Connection` has the tasks between them and a transport. `ServerConnection` and
`ClientConnection` hold the differences: which end opens calls, and the life of a call.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2.errors import ErrorCodes

from audio_server.rpc.dispatch import Dispatcher
from audio_server.rpc.errors import PeerError, PeerSilentError
from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import Frame, FrameReader
from audio_server.rpc.http2.timers import PeerTimers
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

_FRAMES_A_TURN = 16
"""Frames taken from one peer before all others have had their turn: about a millisecond."""


CLOSED = "the peer closed the connection"

_DEBUG_DATA_AT = 8
"""Where in a GOAWAY the peer's own words begin (RFC 9113 section 6.8)."""


def code_of(goaway: Frame) -> str:
    """The code of a GOAWAY by its name; empty for NO_ERROR."""
    code = int.from_bytes(goaway.payload[4:_DEBUG_DATA_AT], "big")
    try:
        return ErrorCodes(code).name if code else ""
    except ValueError:
        return str(code)


class Connection(Dispatcher):
    """The common part of both ends. `run` serves it and closes the transport; the rest is for
    streams."""

    __slots__ = ("__weakref__", "_alarm", "_answers_waiting", "_closing", "_delay_s", "_finished",
                 "_frames", "_is_accused", "_lingers", "_nursery", "_scheduler", "_source",
                 "_timers", "_transport", "_was_busy", "_write_buffer", "peer",
                 "reading_stopped", "reads")  # fmt: skip

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
        super().__init__(ConnectionState(limits, client_side=self.client_side), limits)
        self.peer = peer or Peer(transport)
        self.reading_stopped = False
        """Whether reading has ended, so that no window will open."""
        self.reads = 0
        """How often bytes of the peer have come."""
        self._finished = False
        self._is_accused = False  # by a GOAWAY with an error, which is logged once
        self._lingers = False
        self._closing: trio.CancelScope | None = None
        self._alarm = trio.CancelScope()
        self._transport = transport
        self._frames = FrameReader(limits, client_side=self.client_side)
        self._timers = PeerTimers(limits, self._frames, trio.current_time())
        self._scheduler = scheduler
        self._source = Reader(transport, scheduler, poller)
        self._write_buffer = WriteBuffer(self.http2.out, transport, batch_writer, self._on_drained)
        self._was_busy = False
        self._delay_s = 0.0  # for how long the peer is not to be heard
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

    # For the streams

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
        self._write_buffer.flush_soon()

    def write_now(self, frame: bytes) -> None:
        """Write a frame in this turn, while nothing waits in `http2.out`."""
        self._write_buffer.write_now(frame)

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

    def _on_settled(self) -> None:
        self._timers.called_at = trio.current_time()

    def note_dropped(self, reason: str) -> None:
        """We end the connection, for something that the peer did or did not do."""

    def _note_end(self, reason: str) -> None:
        """Keep the first reason of the end of the connection."""
        self.peer.end_reason = self.peer.end_reason or reason

    def abort(self, reason: str, *, silent: bool = False) -> None:
        """End the connection now and without a GOAWAY: its peer is silent, or does not read."""
        self._note_end(reason)
        if not self._write_buffer.broken:
            log.info("connection aborted", peer=str(self.peer), reason=reason)
            self.note_dropped("silent" if silent else "not_reading")
        self.give_way()

    def give_way(self) -> None:
        """End the connection now, without a GOAWAY and without a line of log."""
        self._write_buffer.close()
        if self._closing is not None:
            self._closing.cancel()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    def finish(self) -> None:
        """End the connection as if the peer had closed it: waiting bytes are still sent."""
        self._finished = True
        self._alarm.cancel()

    # Tasks

    async def run(self) -> None:
        """Serve the connection until it ends; every call of it has ended then.

        Returns when the peer closes, breaks a rule (it gets a GOAWAY) or falls silent. Raises
        nothing that the peer could cause. Cancelling it ends all calls; the transport is closed
        in any case.
        """
        try:
            async with trio.open_nursery() as self._nursery:
                self._write_buffer.start(self._nursery)
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
            await self._read(calls)
            self._note_end("the server ended the connection" if self._finished else CLOSED)
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
            self._write_buffer.close()
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
            await self._write_buffer.end()
            if self._lingers and not self._write_buffer.broken:
                await self._source.linger()
        self._write_buffer.close()
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._transport)
        self._break_cycles()

    def _break_cycles(self) -> None:
        """Let reference counts free it all: old objects are never collected (`collector`)."""
        self.http2.break_cycles()
        self.streams.clear()
        self._nursery = None

    # Reading, and deadlines while nothing arrives

    async def _read(self, calls: trio.Nursery) -> None:
        """Read until the peer has closed or `finish` is called; keep deadlines meanwhile.

        The alarm is not moved by each byte received, which would cost more than receiving: when it
        rings, the deadlines are checked. Raises `PeerSilentError` when a sign of life is missing,
        and `PeerError` when another deadline of the peer has passed.
        """
        while not self._finished:
            self._alarm.deadline = self._timers.next_at(idle=self._may_idle)
            with self._alarm:
                await self._read_frames(calls)
                return
            self._alarm = trio.CancelScope()
            if not self._finished:
                self._do_what_is_due()

    async def _read_frames(self, calls: trio.Nursery) -> None:
        take = partial(self._take, calls)
        while await self._source.read(take):
            is_taken = False
            while not is_taken:
                await trio.lowlevel.cancel_shielded_checkpoint()
                is_taken = self._take_frames(calls)
            await self._pause()

    def _take(self, calls: trio.Nursery, data: bytes) -> bool:
        """Take bytes of the peer; False if they need more than a turn, or the peer must pause."""
        self.reads += 1
        self._timers.on_readable(trio.current_time())
        was_settled = self._frames.settled
        self._frames.add(data)
        is_taken = self._take_frames(calls)
        if self._frames.settled is not was_settled:  # or the alarm would ring for nothing
            self._alarm.deadline = self._timers.next_at(idle=self._may_idle)
        return is_taken and not self._delay_s

    def _take_frames(self, calls: trio.Nursery) -> bool:
        """Take so many frames as one turn is for; whether those were all."""
        is_last = False
        for _ in range(_FRAMES_A_TURN):
            frame = self._frames.next()
            if frame is not None:
                self._watch(frame)
                self._on_frame(frame, calls)
            is_last = frame is None or self._frames.is_drained
            if is_last:
                self._watch_block()
                break
        self.flush_soon()
        return is_last

    def _watch_block(self) -> None:
        if (due_at := self._timers.watch_block()) is not None:
            self._alarm_at(due_at)

    def _alarm_at(self, due_at: float) -> None:
        """Check the deadlines at that time, at the latest."""
        self._alarm.deadline = min(self._alarm.deadline, due_at)

    async def _pause(self) -> None:
        """Return when the peer may be heard again."""
        delay_s, self._delay_s = self._delay_s, 0.0
        if delay_s:
            await trio.sleep(delay_s)

    def _do_what_is_due(self) -> None:
        if self._timers.check(trio.current_time(), idle=self._may_idle):
            self.http2.ping()
        self.flush_soon()

    @property
    def _may_idle(self) -> bool:
        """Whether the connection is there for nothing just now."""
        return False

    # Acts of the peer

    def _count_answer(self) -> None:
        self._answers_waiting += 1
        if self._answers_waiting > self.limits.max_waiting_answers:
            self.abort("the peer does not read")

    def _watch(self, frame: Frame) -> None:
        """Whether the peer keeps measure. Raises `PeerError` if not."""

    def _on_goaway(self, frame: Frame) -> None:
        """The peer opens no more calls; those that are open go on."""
        if frame.stream_id:
            raise PeerError(ErrorCodes.PROTOCOL_ERROR, "a GOAWAY on a stream")
        code = code_of(frame)
        if code and not self._is_accused:
            self._is_accused = True
            text = log_text(frame.payload[_DEBUG_DATA_AT:])
            log.info("peer sent GOAWAY", peer=str(self.peer), code=code, text=text)

    def _on_drained(self) -> None:
        self._answers_waiting = 0
        if self._was_busy:
            self._was_busy = False
            self._on_room()
