"""h2's connections, made and ended as this library needs them, and its errors in our words."""

from __future__ import annotations

from functools import lru_cache

from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from audio_server.rpc.errors import PeerError
from audio_server.rpc.http2.announced import DEFAULT_WINDOW_BYTES
from audio_server.rpc.http2.compact import slim
from audio_server.rpc.http2.frames import PREFACE
from audio_server.rpc.http2.hardened import HardenedConnection
from audio_server.rpc.limits import Limits

_REASONS = {
    ErrorCodes.FLOW_CONTROL_ERROR: "a flow-control window was exceeded",
    ErrorCodes.STREAM_CLOSED: "a frame on a closed stream",
    ErrorCodes.FRAME_SIZE_ERROR: "a frame of a wrong size",
    ErrorCodes.COMPRESSION_ERROR: "a header block that cannot be decoded",
    ErrorCodes.ENHANCE_YOUR_CALM: "a header list that is too large",
}


def peer_error(error: ProtocolError) -> PeerError:
    """Return a phrase of ours for an error of h2: h2's own may name objects in memory."""
    code = ErrorCodes(error.error_code)
    reason = _REASONS.get(code, "a frame that HTTP/2 does not allow here")
    return PeerError(code, reason, str(error))


def new_h2(limits: Limits, *, client_side: bool) -> HardenedConnection:
    config = H2Configuration(
        client_side=client_side,
        header_encoding=None,
        validate_inbound_headers=False,
        normalize_inbound_headers=False,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
    )
    h2 = HardenedConnection(config)
    slim(h2)
    h2.local_settings.update({
        SettingCodes.MAX_CONCURRENT_STREAMS: limits.max_streams,
        SettingCodes.MAX_HEADER_LIST_SIZE: limits.max_header_block_bytes,
        SettingCodes.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
        SettingCodes.ENABLE_PUSH: 0,
    })  # fmt: skip
    h2.local_settings.acknowledge()
    h2.decoder.max_header_list_size = limits.max_header_block_bytes
    h2.initiate_connection()
    if limits.stream_window_bytes < DEFAULT_WINDOW_BYTES:
        h2.await_window(DEFAULT_WINDOW_BYTES, limits.stream_window_bytes)
    h2.increment_flow_control_window(limits.connection_window_bytes - DEFAULT_WINDOW_BYTES)
    if not client_side:
        # Our frame reader has taken the preface; h2 waits for it all the same.
        h2.incoming_buffer.add_data(PREFACE)
    return h2


@lru_cache(16)
def preface(limits: Limits) -> bytes:
    """Return the first bytes of a server: they are the same for all its connections."""
    h2 = new_h2(limits, client_side=False)
    break_cycles(h2)
    return h2.data_to_send()


def break_cycles(h2: HardenedConnection) -> None:
    """Let go of the methods that refer to the connection."""
    h2._frame_dispatch_table.clear()
