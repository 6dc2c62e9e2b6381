"""h2's state machine, hardened for a server on the open Internet.

Differences from h2, each for a fault that was seen on the wire:
- too many streams, trailers without an end, and a wrong content-length concern one stream, and
  never end the connection; so HPACK stays in step and the other calls go on;
- frames for a stream that was reset are ignored, for they were sent before the reset came
  (RFC 9113 section 5.1, "closed"); h2 answers each with another reset;
- memory that a peer can fill is bounded: closed streams, unknown settings, and the table of our
  HPACK encoder;
- of a setting that comes several times in one SETTINGS frame each value counts, in order (section
  6.5.3); h2 sees the last one only;
- a header block that cannot be decoded is COMPRESSION_ERROR, a reset of an idle stream an error.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import AllowedStreamIDs, H2Connection
from h2.errors import ErrorCodes
from h2.events import Event, StreamReset
from h2.exceptions import NoSuchStreamError, ProtocolError, StreamClosedError, StreamIDTooLowError
from h2.settings import SettingCodes
from h2.stream import H2Stream, StreamInputs, StreamState
from hpack import Decoder, HeaderTuple
from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.struct import Header
from hyperframe.frame import DataFrame, Frame, RstStreamFrame, SettingsFrame

from audio_server.rpc.http2.header_encoder import HeaderEncoder

_SETTINGS = frozenset(SettingCodes)
_TAKING_DATA = (StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL)
_SENDING_DATA = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
_SETTING = struct.Struct(">HI")

Taken = tuple[list[Frame], list[Event]]
"""The frames that answer a frame, and its events."""


class CompressionError(ProtocolError):
    """A header block that HPACK cannot decode: the state of both ends has parted for good."""

    error_code = ErrorCodes.COMPRESSION_ERROR


class _Decoder(Decoder):
    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        try:
            return super().decode(data, raw)
        except OversizedHeaderListError:
            raise  # h2 makes ENHANCE_YOUR_CALM of it
        except HPACKError as error:
            raise CompressionError(str(error)) from error


class _Stream(H2Stream):
    """A stream whose headers and body are judged by us, and never the connection's ruin."""

    @property
    def takes_data(self) -> bool:
        """Whether the peer has not ended its side."""
        return self.state_machine.state in _TAKING_DATA

    @property
    def sends_data(self) -> bool:
        """Whether we have not ended ours."""
        return self.state_machine.state in _SENDING_DATA

    def receive_headers(
        self, headers: Iterable[Header], end_stream: bool, header_encoding: bool | str | None
    ) -> Taken:
        if self.config.client_side:
            return super().receive_headers(headers, end_stream, header_encoding)
        are_trailers = self.state_machine.headers_received
        events = self.state_machine.process_input(StreamInputs.RECV_HEADERS)
        if are_trailers and not end_stream:
            return self._refuse()
        cast(Any, events[0]).headers = list(headers)
        if end_stream:
            events += self.state_machine.process_input(StreamInputs.RECV_END_STREAM)
        return [], events

    def _refuse(self) -> Taken:
        code = ErrorCodes.PROTOCOL_ERROR
        event = StreamReset(stream_id=self.stream_id, error_code=code, remote_reset=False)
        return self.reset_stream(code), [event]

    def _initialize_content_length(self, headers: Iterable[Header]) -> None:
        """The length of a gRPC body is in its messages; gRPC's C core looks at no other."""

    def _track_content_length(self, length: int, end_stream: bool) -> None:
        """See `_initialize_content_length`."""


class HardenedConnection(H2Connection):
    """The protocol state of a connection; `ProtocolError` ends it."""

    MAX_CLOSED_STREAMS = 256

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self.encoder: HeaderEncoder = HeaderEncoder()
        self.decoder = _Decoder()
        self.decoder.max_header_list_size = self.DEFAULT_MAX_HEADER_LIST_SIZE

    streams: dict[int, _Stream]  # type: ignore[assignment]

    @property
    def header_list_bytes(self) -> int | None:
        """The largest header list that the peer takes."""
        return self.remote_settings.max_header_list_size

    @property
    def open_inbound_streams(self) -> int:
        """0: the server that accepts the streams keeps the limit, and answers REFUSED_STREAM."""
        # h2 forgets closed streams as a side effect of counting the open ones.
        super().open_inbound_streams  # noqa: B018
        return 0

    def is_idle(self, stream_id: int) -> bool:
        """Whether a stream of this id has never been opened."""
        if self._stream_id_is_outbound(stream_id):
            return stream_id > self.highest_outbound_stream_id
        return stream_id > self.highest_inbound_stream_id

    def _begin_new_stream(self, stream_id: int, allowed_ids: AllowedStreamIDs) -> H2Stream:
        stream = super()._begin_new_stream(stream_id, allowed_ids)
        stream.__class__ = _Stream  # h2 has no factory for them
        return stream

    def _receive_frame(self, frame: Frame) -> list[Event]:
        try:
            frames, events = self._frame_dispatch_table[frame.__class__](frame)
        except (StreamClosedError, StreamIDTooLowError) as error:
            return self._take_for_closed(error)
        self._prepare_for_sending(frames)
        return cast(list[Event], events)

    def _take_for_closed(self, error: StreamClosedError | StreamIDTooLowError) -> list[Event]:
        """Headers for a stream that the peer had ended, or that either side had reset."""
        if isinstance(error, StreamClosedError) and error._events:
            reset = RstStreamFrame(error.stream_id, error_code=int(error.error_code))
            self._prepare_for_sending([reset])
            return error._events
        if self._stream_is_closed_by_reset(error.stream_id):
            return []
        if self._stream_is_closed_by_end(error.stream_id):
            raise StreamClosedError(error.stream_id) from error
        raise error

    def _handle_data_on_closed_stream(
        self, events: list[Event], exc: StreamClosedError, frame: DataFrame
    ) -> Taken:
        """Credit the connection's window; reset the streams that this very frame closed."""
        if not exc._events and self._stream_is_closed_by_end(exc.stream_id):
            raise StreamClosedError(exc.stream_id) from exc
        frames, events = super()._handle_data_on_closed_stream(events, exc, frame)
        if not exc._events:
            frames = [frame for frame in frames if not isinstance(frame, RstStreamFrame)]
        return frames, events

    def _receive_rst_stream_frame(self, frame: RstStreamFrame) -> Taken:
        if self.is_idle(frame.stream_id):
            raise NoSuchStreamError(frame.stream_id)
        return super()._receive_rst_stream_frame(frame)

    def await_window(self, before: int, after: int) -> None:
        """Let the peer use the window `before` on each stream until it acknowledges that `after`
        was announced; it cannot know of it sooner."""
        windows: Any = deque([before, after])
        self.local_settings._settings[SettingCodes.INITIAL_WINDOW_SIZE] = windows

    def announce(self, payload: bytes) -> None:
        """Take the values of a SETTINGS frame one by one, before h2 takes the last of each.

        Raises `ProtocolError` for one that may not be.
        """
        if len(payload) % _SETTING.size:
            return  # h2 refuses it
        for code, value in _SETTING.iter_unpack(payload):
            self.remote_settings.validate_received_setting(code, value)
            if code == SettingCodes.HEADER_TABLE_SIZE:
                self.encoder.announce(value)

    def _receive_settings_frame(self, frame: SettingsFrame) -> Taken:
        # The windows of streams that have ended must not be found to be too large.
        self._open_streams(0)
        known = {code: value for code, value in frame.settings.items() if code in _SETTINGS}
        frame.settings = known
        return super()._receive_settings_frame(frame)
