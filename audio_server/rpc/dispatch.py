"""Frames of a connection, mapped to its calls."""

from __future__ import annotations

from abc import ABC, abstractmethod

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from h2 import events

from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import CONTINUATION, DATA, GOAWAY, WINDOW_UPDATE, Frame
from audio_server.rpc.limits import Limits
from audio_server.rpc.stream import RpcStream


class Dispatcher(ABC):
    """The calls of a connection by the ids of their streams, and the effects of frames on them.

    Nothing here blocks, and nothing is raised that concerns one call alone.
    """

    __slots__ = ("http2", "limits", "streams")

    def __init__(self, http2: ConnectionState, limits: Limits) -> None:
        self.http2 = http2
        self.limits = limits
        self.streams: dict[int, RpcStream] = {}

    @abstractmethod
    def flush_soon(self) -> None:
        """Have waiting bytes written."""

    @abstractmethod
    def _on_settled(self) -> None:
        """A call was forgotten."""

    # For the streams

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
            self._on_settled()

    @abstractmethod
    def _on_goaway(self, frame: Frame) -> None:
        """The peer opens no more calls, or accepts none."""

    @abstractmethod
    def _count_answer(self) -> None:
        """A frame of the peer made h2 queue an answer."""

    # From the peer

    def _on_frame(self, frame: Frame, calls: trio.Nursery) -> None:
        if frame.type == DATA and (payload := self.http2.take_data(frame)) is not None:
            self._on_data(frame.stream_id, payload, len(payload))
            return
        if frame.type == WINDOW_UPDATE and self.http2.take_window(frame):
            self._on_window(frame.stream_id)
        elif frame.type == GOAWAY:
            self._on_goaway(frame)
        elif frame.type <= CONTINUATION:
            waiting = len(self.http2.out)
            for event in self.http2.receive(frame):
                self._on_event(event, calls)
            if len(self.http2.out) > waiting:
                self._count_answer()

    def _on_event(self, event: events.Event, calls: trio.Nursery) -> None:
        match event:
            case events.DataReceived():
                self._on_data(event.stream_id, event.data, event.flow_controlled_length)
            case events.StreamEnded():
                self._on_end(event)
            case events.StreamReset():
                self._on_reset(event)
            case events.WindowUpdated():
                self._on_window(event.stream_id or 0)
            case events.RemoteSettingsChanged():
                self._on_room()

    def _on_data(self, stream_id: int, data: bytes, window_bytes: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or stream.failure is not None:
            self.consumed(stream_id, window_bytes)
            return
        try:
            stream.feed(data, window_bytes)
        except GRPCError as error:
            self._on_bad_stream(stream, error)

    def _on_end(self, event: events.StreamEnded) -> None:
        if stream := self.streams.get(event.stream_id):
            try:
                stream.end_remote()
            except GRPCError as error:
                self._on_bad_stream(stream, error)
            self.release(stream)

    def _on_bad_stream(self, stream: RpcStream, error: GRPCError) -> None:
        """Reset a stream on which the peer broke a rule; the others go on."""
        stream.fail(error)

    def _on_reset(self, event: events.StreamReset) -> None:
        if stream := self.streams.get(event.stream_id):
            stream.drop()
            self._fail_reset(stream, event)
            self.release(stream)

    def _fail_reset(self, stream: RpcStream, event: events.StreamReset) -> None:
        stream.fail(GRPCError(Status.CANCELLED, f"reset by the peer ({event.error_code})"))

    def _on_window(self, stream_id: int) -> None:
        """A window has grown; 0 is the connection's, and so all streams'."""
        if not stream_id:
            self._on_room()
        elif stream := self.streams.get(stream_id):
            self._offer_room(stream)

    def _on_room(self) -> None:
        for stream in list(self.streams.values()):
            self._offer_room(stream)

    def _offer_room(self, stream: RpcStream) -> None:
        stream.flush()
        stream.notify()
        stream.tell_room()
