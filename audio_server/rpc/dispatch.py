"""Frames of a connection, mapped to its calls."""

from __future__ import annotations

from typing import Protocol

import trio
from grpclib.exceptions import GRPCError
from h2 import events

from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import CONTINUATION, DATA, GOAWAY, WINDOW_UPDATE, Frame
from audio_server.rpc.stream import RpcStream


class End(Protocol):
    """The end of a connection, as far as it differs: the server's, or the client's.

    Nothing here blocks, and nothing is raised that concerns one call alone.
    """

    def on_event(self, event: events.Event, calls: trio.Nursery) -> None:
        """Take an event of h2 that only this end knows, such as a request."""

    def on_goaway(self, frame: Frame) -> None:
        """The peer opens no more calls, or accepts none."""

    def on_bad_stream(self, stream: RpcStream, error: GRPCError) -> None:
        """End a call on which the peer broke a rule; the others go on."""

    def on_reset(self, stream: RpcStream, event: events.StreamReset) -> None:
        """End a call whose stream was reset."""

    def note_fault_reset(self) -> None:
        """A stream was reset by us for a fault of the peer."""

    def count_answer(self) -> None:
        """A frame of the peer made h2 queue an answer."""

    def consumed(self, stream_id: int, size: int) -> None:
        """Bytes that the peer sent are dealt with: they may be sent anew."""

    def release(self, stream: RpcStream) -> None:
        """Forget a call that is over on the wire and has no task left."""


class Dispatcher:
    """The effects of frames on the calls of a connection, `streams` by their ids.

    The end of the connection is an argument, since an attribute would be a cycle (`gc_policy`).
    """

    __slots__ = ("http2", "streams")

    def __init__(self, http2: ConnectionState, streams: dict[int, RpcStream]) -> None:
        self.http2 = http2
        self.streams = streams

    def on_frame(self, frame: Frame, end: End, calls: trio.Nursery) -> None:
        """Take one frame. Raises `PeerError` for one that ends the connection."""
        if frame.type == DATA and (payload := self.http2.take_data(frame)) is not None:
            self._on_data(frame.stream_id, payload, len(payload), end)
            return
        if frame.type == WINDOW_UPDATE and self.http2.take_window(frame):
            self._on_window(frame.stream_id)
        elif frame.type == GOAWAY:
            end.on_goaway(frame)
        elif frame.type <= CONTINUATION:
            waiting = len(self.http2.out)
            for event in self.http2.receive(frame):
                self._on_event(event, end, calls)
            if len(self.http2.out) > waiting:
                end.count_answer()

    def _on_event(self, event: events.Event, end: End, calls: trio.Nursery) -> None:
        match event:
            case events.DataReceived():
                self._on_data(event.stream_id, event.data, event.flow_controlled_length, end)
            case events.StreamEnded():
                self._on_end(event, end)
            case events.StreamReset():
                self._on_reset(event, end)
            case events.WindowUpdated():
                self._on_window(event.stream_id or 0)
            case events.RemoteSettingsChanged():
                self.on_room()
            case _:
                end.on_event(event, calls)

    def _on_data(self, stream_id: int, data: bytes, window_bytes: int, end: End) -> None:
        stream = self.streams.get(stream_id)
        if stream is None or stream.failure is not None:
            end.consumed(stream_id, window_bytes)
            return
        try:
            stream.feed(data, window_bytes)
        except GRPCError as error:
            end.on_bad_stream(stream, error)

    def _on_end(self, event: events.StreamEnded, end: End) -> None:
        if stream := self.streams.get(event.stream_id):
            try:
                stream.end_remote()
            except GRPCError as error:
                end.on_bad_stream(stream, error)
            end.release(stream)

    def _on_reset(self, event: events.StreamReset, end: End) -> None:
        if stream := self.streams.get(event.stream_id):
            stream.drop()
            end.on_reset(stream, event)
            end.release(stream)
        if not event.remote_reset:
            end.note_fault_reset()

    def _on_window(self, stream_id: int) -> None:
        """A window has grown; 0 is the connection's, and so all streams'."""
        if not stream_id:
            self.on_room()
        elif stream := self.streams.get(stream_id):
            _offer_room(stream)

    def on_room(self) -> None:
        """There may be room for all calls."""
        for stream in list(self.streams.values()):
            _offer_room(stream)


def _offer_room(stream: RpcStream) -> None:
    stream.flush()
    stream.notify()
    stream.tell_room()
