"""One HTTP/2 connection without I/O: h2's state, our DATA frames, our GOAWAYs.

Everything but DATA and GOAWAY goes through h2. DATA is framed here and only charged to h2's
windows: that spares its per-frame objects, and sound is nearly all we send. GOAWAY goes past
h2, which shuts its state machine on the first one, while a drain needs two and calls that
still end properly afterwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event
from h2.exceptions import FlowControlError, ProtocolError
from h2.stream import H2Stream, StreamInputs

from audio_server.rpc.http2.announced import DEFAULT_WINDOW_BYTES
from audio_server.rpc.http2.answers import ACCEPTED, list_bytes
from audio_server.rpc.http2.frames import (
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    SETTINGS,
    Frame,
    frame_header,
    goaway_frame,
    write_frame,
)
from audio_server.rpc.http2.h2_factory import break_cycles, new_h2, peer_error, preface
from audio_server.rpc.http2.hardened import HardenedConnection
from audio_server.rpc.http2.ordinary import OrdinaryConnection
from audio_server.rpc.http2.ordinary_stream import OrdinaryStream
from audio_server.rpc.http2.windows import take_credit, take_lack
from audio_server.rpc.limits import Limits

_LARGEST_WINDOW = 2**31 - 1
_INCREMENT = struct.Struct(">I")


class ConnectionState:
    """The protocol state of a connection and the bytes that wait to be sent, `out`.

    No method blocks. `receive` raises `PeerError`; the others only raise on misuse by us,
    except that acting on a stream that the peer has closed meanwhile is silently nothing.
    """

    __slots__ = ("_core", "_dead", "_limits", "out", "spoke")

    def __init__(self, limits: Limits, *, client_side: bool) -> None:
        self._limits = limits
        self._dead = False
        self.out = bytearray()
        self.spoke = False
        """Whether headers or data were sent since this was last set to False."""
        self._core: OrdinaryConnection | HardenedConnection
        if client_side or limits.stream_window_bytes < DEFAULT_WINDOW_BYTES:
            self._core = new_h2(limits, client_side=client_side)
            self._collect(self._core)
        else:
            self._core = OrdinaryConnection(limits)
            self.out += preface(limits)

    @property
    def _h2(self) -> HardenedConnection:
        """h2's state, which is made when it is needed for the first time."""
        core = self._core
        if isinstance(core, OrdinaryConnection):
            core = self._core = core.harden(new_h2(self._limits, client_side=False))
        return core

    def _collect(self, h2: HardenedConnection) -> None:
        self.out += h2.data_to_send()

    def receive(self, frame: Frame) -> list[Event]:
        """Take one whole frame; acknowledgements that it needs are added to `out`.

        Raises `PeerError` for a frame that ends the connection.
        """
        if isinstance(self._core, OrdinaryConnection):
            taken = self._core.receive(frame, self.out)
            if taken is not None:
                return taken
        h2 = self._h2
        try:
            if frame.type == SETTINGS:
                h2.announce(frame.payload)
            events = h2.receive_data(frame.raw)
        except ProtocolError as error:
            # h2 has shut its state machine; the caller sends the GOAWAY.
            h2.clear_outbound_data_buffer()
            self._dead = True
            raise peer_error(error) from error
        self._collect(h2)
        return events

    def take_data(self, frame: Frame) -> bytes | None:
        """The short way for a DATA frame with no flags on an open stream: its payload.

        Charges h2's windows as h2 would, and raises `PeerError` if they do not hold it. None
        for every other frame, which then has to go through `receive`.
        """
        stream = self._core.streams.get(frame.stream_id)
        if frame.flags or stream is None or not stream.takes_data:
            return None
        size = len(frame.payload)
        try:
            self._core._inbound_flow_control_window_manager.window_consumed(size)
            stream._inbound_window_manager.window_consumed(size)
        except FlowControlError as error:
            self._dead = True
            raise peer_error(error) from error
        return frame.payload

    def take_window(self, frame: Frame) -> bool:
        """Fast path for a valid WINDOW_UPDATE: return whether its window has grown.

        If not, the frame must go through `receive`, which finds its fault or ignores it. Invariant:
        windows are as h2 would have them (a Hypothesis test). Benchmark: docs/performance.md, "A
        short way for WINDOW_UPDATE".
        """
        if len(frame.payload) != _INCREMENT.size or self._dead:
            return False
        size = _INCREMENT.unpack(frame.payload)[0] & _LARGEST_WINDOW
        window: OrdinaryConnection | OrdinaryStream | H2Connection | H2Stream = self._core
        if frame.stream_id:
            stream = self._core.streams.get(frame.stream_id)
            if stream is None or not stream.sends_data:
                return False
            window = stream
        grown = size + window.outbound_flow_control_window
        if not size or grown > _LARGEST_WINDOW:
            return False
        window.outbound_flow_control_window = grown
        return True

    @property
    def last_stream_id(self) -> int:
        """The newest stream that the peer has opened."""
        return self._core.highest_inbound_stream_id

    def consumed(self, stream_id: int, size: int) -> None:
        """Give `size` received bytes back to the peer's windows, for the application has them."""
        core = self._core
        if isinstance(core, OrdinaryConnection):
            self.out += core.acknowledge(stream_id, size)
        else:
            core.acknowledge_received_data(size, stream_id)
            self._collect(core)

    def ensure_window(self, stream_id: int, size: int) -> None:
        """Let the peer send the `size` bytes that a message still lacks.

        Consumed bytes are credited late, and a window may be smaller than a message: without this a
        message could wait for ever for its second half.
        """
        stream = self._core.streams.get(stream_id)
        if stream is None or not stream.takes_data:
            return
        shared = self._core._inbound_flow_control_window_manager
        if lacking := take_lack(stream._inbound_window_manager, size):
            self._h2.increment_flow_control_window(lacking, stream_id)
        if lacking := take_credit(shared, size):
            self._h2.increment_flow_control_window(lacking)
        if isinstance(self._core, HardenedConnection):
            self._collect(self._core)

    def takes_header_list(self, headers: Iterable[tuple[str, str]]) -> bool:
        """Whether the peer's SETTINGS_MAX_HEADER_LIST_SIZE allows it these headers."""
        limit = self._core.header_list_bytes
        return limit is None or limit >= list_bytes(headers)

    def open_stream(self, headers: Iterable[tuple[str, str]]) -> int:
        """Begin a request (client side); its stream's id."""
        stream_id = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream_id, headers)
        self._collect(self._h2)
        return stream_id

    def send_headers(
        self, stream_id: int, headers: Iterable[tuple[str, str]], *, end_stream: bool = False
    ) -> None:
        """Answer a request, or end the answer; nothing if the stream is closed.

        `grpc-message` is left out where the peer takes no header list so large.
        """
        if self.is_open(stream_id):
            headers = list(headers)
            if not self.takes_header_list(headers):
                headers = [(name, value) for name, value in headers if name != "grpc-message"]
            self.spoke = True
            if end_stream and isinstance(self._core, OrdinaryConnection):
                frame = self._core.end_answer(stream_id, headers)
                if frame is not None:
                    self.out += frame
                    return
            self._h2.send_headers(stream_id, headers, end_stream=end_stream)
            self._collect(self._h2)

    def accept(self, stream_id: int) -> None:
        """Answer a request with the headers that every gRPC answer begins with.

        They are the same for all and refer to no dynamic table entry, so they are encoded once.
        """
        if self.is_open(stream_id):
            self.spoke = True
            block = ACCEPTED
            if not (isinstance(self._core, OrdinaryConnection) and self._core.accept(stream_id)):
                h2 = self._h2
                h2.streams[stream_id].state_machine.process_input(StreamInputs.SEND_HEADERS)
                block = h2.encoder.take_size_updates() + ACCEPTED
            self.out += write_frame(HEADERS, END_HEADERS, stream_id, block)

    def window(self, stream_id: int, *, spare_bytes: int = 0) -> int:
        """How many bytes of DATA the peer would take on this stream now; never below 0.

        Of the connection's window `spare_bytes` are left to other streams.
        """
        stream = self._core.streams.get(stream_id)
        if stream is None:
            return 0
        room = stream.outbound_flow_control_window
        shared = self._core.outbound_flow_control_window - spare_bytes
        if room > shared:
            room = shared
        return room if room > 0 else 0

    def send_data(self, stream_id: int, data: bytes) -> int:
        """Frame as much of `data` as the windows take; how many bytes that is."""
        size = self.window(stream_id)
        if size < len(data):
            data = data[:size]
        else:
            size = len(data)
        step = self._core.max_outbound_frame_size
        for start in range(0, size, step):
            chunk = data[start : start + step] if size > step else data
            self.out += frame_header(len(chunk), DATA, 0, stream_id)
            self.out += chunk
        if size:
            self._core.streams[stream_id].outbound_flow_control_window -= size
            self._core.outbound_flow_control_window -= size
            self.spoke = True
        return size

    def frame_data(self, stream_id: int, data: bytes, spare_bytes: int) -> bytes | None:
        """A frame of all of `data`, which is charged to the windows and is not added to `out`.

        None, and nothing is charged, where it is more than `window` says, or than one frame holds.
        """
        core = self._core
        stream = core.streams.get(stream_id)
        if stream is None:
            return None
        size = len(data)
        left = stream.outbound_flow_control_window - size
        shared_left = core.outbound_flow_control_window - size
        if left < 0 or shared_left < spare_bytes or size > core.max_outbound_frame_size:
            return None
        stream.outbound_flow_control_window = left
        core.outbound_flow_control_window = shared_left
        self.spoke = True
        return frame_header(size, DATA, 0, stream_id) + data

    def end_stream(self, stream_id: int) -> None:
        """Close our half of a stream (client side)."""
        self._h2.end_stream(stream_id)
        self._collect(self._h2)

    def is_open(self, stream_id: int) -> bool:
        """Whether either half of the stream is still open."""
        stream = self._core.streams.get(stream_id)
        return stream is not None and not stream.closed and not self._dead

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """End a stream at once, unless it has ended already."""
        if self.is_open(stream_id):
            if isinstance(self._core, OrdinaryConnection):
                frame = self._core.reset(stream_id, code)
                if frame is not None:
                    self.out += frame
                    return
            self._h2.reset_stream(stream_id, code)
            self._collect(self._h2)

    def ping(self) -> None:
        self.out += write_frame(PING, 0, 0, b"alive? \n")

    def goaway(self, code: ErrorCodes, reason: str = "", *, last_stream_id: int) -> None:
        """Announce the end of the connection; h2 does not get to know."""
        self.out += goaway_frame(code, reason, last_stream_id)

    def break_cycles(self) -> None:
        """Release h2's objects: the connection is over."""
        self._dead = True
        if isinstance(self._core, HardenedConnection):
            break_cycles(self._core)
