"""The protocol state of a client that does nothing out of the ordinary.

Fast path of `HardenedConnection`: h2 keeps ten kilobytes for each connection and makes a dozen
objects of each frame, where the clients of devices send SETTINGS, open their calls, send messages
and reset or end their calls. This state does only that. For any other frame `receive` returns None
and has changed nothing; `harden` then gives h2's state, which serves the connection from there on.

Invariant: the state that `harden` gives is the one that h2 would have if it had been there from the
start (a Hypothesis test). Benchmark: docs/performance.md, "Arrivals".
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.stream import StreamInputs
from h2.windows import WindowManager

from audio_server.rpc.http2.announced import DEFAULT_WINDOW_BYTES, Announced, announced
from audio_server.rpc.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Frame,
    write_frame,
)
from audio_server.rpc.http2.header_decoder import DynamicTable
from audio_server.rpc.http2.ordinary_stream import Life, OrdinaryStream, after
from audio_server.rpc.limits import Limits

if TYPE_CHECKING:
    from audio_server.rpc.http2.hardened import HardenedConnection

_ENDED_MAX = 16
"""Calls of one connection that may end before h2 takes over: a device has three."""

_U32 = struct.Struct(">I")
_STATUS_200 = b"\x88"
_ANY_HEADERS = b"\x82"
"""A header block of one field that is in every table: h2 looks at no header of a request."""


class OrdinaryConnection:
    """The state of a connection, under the names that h2 has for it.

    Each method that returns None or False has changed nothing: then h2 is needed.
    """

    __slots__ = (
        "_ended",
        "_inbound_flow_control_window_manager",
        "_limits",
        "_settings",
        "_table",
        "_window_bytes",
        "header_list_bytes",
        "highest_inbound_stream_id",
        "max_outbound_frame_size",
        "outbound_flow_control_window",
        "streams",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._settings: Frame | None = None
        self._take_announced(Announced())
        self._table = DynamicTable()
        self._inbound_flow_control_window_manager = WindowManager(limits.connection_window_bytes)
        self._ended: dict[int, tuple[Life, int]] = {}  # and the newest stream at that time
        self.highest_inbound_stream_id = 0
        self.outbound_flow_control_window = DEFAULT_WINDOW_BYTES
        self.streams: dict[int, OrdinaryStream] = {}

    def _take_announced(self, values: Announced) -> None:
        self._window_bytes = values.window_bytes
        self.max_outbound_frame_size = values.frame_bytes
        self.header_list_bytes = values.header_list_bytes

    def receive(self, frame: Frame, out: bytearray) -> list[Event] | None:
        """Take one whole frame; its answer is added to `out`."""
        if frame.type == HEADERS:
            return self._take_headers(frame)
        if frame.type == DATA:
            return self._take_last_data(frame)
        if frame.type == RST_STREAM:
            return self._take_reset(frame)
        if frame.type == PING and not frame.stream_id:
            if not frame.flags & ACK:
                out += write_frame(PING, ACK, 0, frame.payload)
            return []
        if frame.type == SETTINGS and not frame.stream_id:
            return self._take_settings(frame, out)
        return None

    def _take_settings(self, frame: Frame, out: bytearray) -> list[Event] | None:
        if frame.flags & ACK:
            return []
        values = announced(frame.payload) if self._settings is None else None
        if values is None:
            return None
        self._settings = _shared(frame)
        self._take_announced(values)
        out += write_frame(SETTINGS, ACK, 0)
        return []

    def _take_headers(self, frame: Frame) -> list[Event] | None:
        stream_id = frame.stream_id
        if (
            frame.flags | END_STREAM != END_HEADERS | END_STREAM
            or stream_id <= self.highest_inbound_stream_id
            or not stream_id % 2
        ):
            return None
        headers = self._table.decode(frame.payload, self._limits.max_header_block_bytes)
        if headers is None:
            return None
        self.highest_inbound_stream_id = stream_id
        stream = self.streams[stream_id] = OrdinaryStream(
            self._limits.stream_window_bytes, self._window_bytes
        )
        events: list[Event] = [RequestReceived(stream_id=stream_id, headers=headers)]
        if frame.flags & END_STREAM:
            stream.life = after(stream.life, StreamInputs.RECV_END_STREAM)
            events.append(StreamEnded(stream_id=stream_id))
        return events

    def _take_last_data(self, frame: Frame) -> list[Event] | None:
        """Take the DATA with which the client ends its side; all other is taken elsewhere."""
        stream, data = self.streams.get(frame.stream_id), frame.payload
        shared = self._inbound_flow_control_window_manager
        if stream is None or frame.flags != END_STREAM or not stream.takes_data:
            return None
        own = stream._inbound_window_manager
        if len(data) > min(own.current_window_size, shared.current_window_size):
            return None
        if not stream.sends_data and len(self._ended) == _ENDED_MAX:
            return None
        own.window_consumed(len(data))
        shared.window_consumed(len(data))
        self._step(frame.stream_id, stream, StreamInputs.RECV_END_STREAM)
        stream_id, size = frame.stream_id, len(data)
        return [
            DataReceived(stream_id=stream_id, data=data, flow_controlled_length=size),
            StreamEnded(stream_id=stream_id),
        ]

    def _take_reset(self, frame: Frame) -> list[Event] | None:
        stream = self.streams.get(frame.stream_id)
        if stream is None or len(self._ended) == _ENDED_MAX:
            return None
        self._end(frame.stream_id, stream, StreamInputs.RECV_RST_STREAM)
        code = _U32.unpack(frame.payload)[0]
        return [StreamReset(stream_id=frame.stream_id, error_code=_code(code))]

    def accept(self, stream_id: int) -> bool:
        """Note that the answer to a request has begun."""
        stream = self.streams[stream_id]
        if stream.life.is_accepted or not stream.sends_data:
            return False
        stream.life = after(stream.life, StreamInputs.SEND_HEADERS)
        return True

    def end_answer(self, stream_id: int, headers: Sequence[tuple[str, str]]) -> bytes | None:
        """Return the frame of the last headers of an answer."""
        stream, block = self.streams[stream_id], _plain(headers)
        if (
            block is None
            or len(block) > self.max_outbound_frame_size
            or not stream.sends_data
            or len(self._ended) == _ENDED_MAX
        ):
            return None
        self._step(stream_id, stream, StreamInputs.SEND_HEADERS, StreamInputs.SEND_END_STREAM)
        return write_frame(HEADERS, END_HEADERS | END_STREAM, stream_id, block)

    def reset(self, stream_id: int, code: ErrorCodes) -> bytes | None:
        """Return the frame that resets an open stream."""
        if len(self._ended) == _ENDED_MAX:
            return None
        self._end(stream_id, self.streams[stream_id], StreamInputs.SEND_RST_STREAM)
        return write_frame(RST_STREAM, 0, stream_id, _U32.pack(code))

    def acknowledge(self, stream_id: int, size: int) -> bytes:
        """Return the frames that give `size` bytes back to the client's windows, if any."""
        frames = self._credit(0, self._inbound_flow_control_window_manager, size)
        if (stream := self.streams.get(stream_id)) is not None:
            frames += self._credit(stream_id, stream._inbound_window_manager, size)
        return frames

    def _credit(self, stream_id: int, window: WindowManager, size: int) -> bytes:
        increment = window.process_bytes(size)
        return write_frame(WINDOW_UPDATE, 0, stream_id, _U32.pack(increment)) if increment else b""

    def _step(self, stream_id: int, stream: OrdinaryStream, *steps: StreamInputs) -> None:
        """Take steps of which the last one ends a side; with both sides the stream is over."""
        stream.life = after(stream.life, *steps)
        if not stream.takes_data and not stream.sends_data:
            self._end(stream_id, stream)

    def _end(self, stream_id: int, stream: OrdinaryStream, *steps: StreamInputs) -> None:
        life = after(stream.life, *steps)
        self._ended[stream_id] = life, self.highest_inbound_stream_id
        del self.streams[stream_id]

    def harden(self, h2: HardenedConnection) -> HardenedConnection:
        """Bring `h2`, a connection that was just made, into this state, and return it."""
        if self._settings is not None:
            h2.announce(self._settings.payload)
            h2.receive_data(self._settings.raw)
        for stream_id in sorted({*self.streams, *self._ended}):
            h2.receive_data(write_frame(HEADERS, END_HEADERS, stream_id, _ANY_HEADERS))
            # h2 forgets streams that have ended when another one begins.
            for ended, (life, newest) in self._ended.items():
                if newest == stream_id:
                    _live(h2, ended, life)
        for stream_id, stream in self.streams.items():
            _live(h2, stream_id, stream.life)
            full = h2.streams[stream_id]
            full.outbound_flow_control_window = stream.outbound_flow_control_window
            full._inbound_window_manager = stream._inbound_window_manager
        h2.outbound_flow_control_window = self.outbound_flow_control_window
        h2._inbound_flow_control_window_manager = self._inbound_flow_control_window_manager
        h2.decoder.header_table.dynamic_entries.extend(self._table.entries)
        h2.decoder.header_table._current_size = self._table.size
        h2.clear_outbound_data_buffer()
        return h2


def _live(h2: HardenedConnection, stream_id: int, life: Life) -> None:
    for step in life.steps:
        h2.streams[stream_id].state_machine.process_input(step)


@lru_cache(256)
def _shared(frame: Frame) -> Frame:
    """Return one object for all frames that are equal."""
    return frame


@lru_cache(256)
def _code(number: int) -> ErrorCodes | int:
    try:
        return ErrorCodes(number)
    except ValueError:
        return number


def _plain(headers: Iterable[tuple[str, str]]) -> bytes | None:
    """Return a header block that uses no table; None for one with a long text in it."""
    block = b""
    for name, value in headers:
        if (name, value) == (":status", "200"):
            block += _STATUS_200
            continue
        texts = name.encode(), value.encode()
        if max(map(len, texts)) >= 0x7F:
            return None
        block += b"\0" + b"".join(bytes([len(text)]) + text for text in texts)
    return block
