"""What a peer may ask of a connection, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from audio_server.rpc.rates import Rate


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a server and of each connection.

    The defaults fit devices with three calls and small messages. Frames past a `Rate` end the
    connection with ENHANCE_YOUR_CALM.
    """

    max_connections: int = 10_000
    """Of one server; what is over is closed at once."""

    max_strangers: int = 100
    """Connections from one address (of IPv6: one /64) that have not yet said who they are."""

    max_streams: int = 16
    """Concurrent calls, counted until the handler has exited; more are refused."""

    calls: Rate = (100, 10)
    """Calls opened; past it the connection is not read for a while, and nothing is lost."""

    max_pause_s: float = 2.0
    """The longest such while; calls so many at once that it would be longer are an attack."""

    max_message_bytes: int = 64 * 1024
    """One gRPC message, judged on its prefix."""

    max_metadata_bytes: int = 8 * 1024
    """Names and values of one request's metadata together."""

    max_metadata_fields: int = 100

    max_header_block_bytes: int = 16 * 1024
    """One compressed header block; also advertised as MAX_HEADER_LIST_SIZE."""

    max_continuations: int = 8
    """CONTINUATION frames of one header block."""

    stream_window_bytes: int = 64 * 1024
    """Receive window of a stream."""

    connection_window_bytes: int = 256 * 1024
    """Receive window of the connection."""

    busy_bytes: int = 16 * 1024
    """With more than this waiting for the socket, streams stop handing over data."""

    max_waiting_bytes: int = 256 * 1024
    """With more than this waiting for the socket, the peer is given up."""

    max_waiting_answers: int = 1_000
    """With more acknowledgements and resets than this waiting, the peer is given up."""

    resets: Rate = (100, 5)
    """Streams that the peer resets, or that its faults and its greed make us reset."""

    ping_apart_s: float = 10.0
    """A PING that comes sooner after another, with no headers or data of ours between: a strike."""

    ping_strikes: int = 2
    """Strikes that are let pass."""

    settings: Rate = (100, 10)
    """SETTINGS and their acknowledgements."""

    max_settings: int = 32
    """Values in one SETTINGS frame."""

    priorities: Rate = (1_000, 33)
    """PRIORITY, which means nothing here."""

    window_updates: Rate = (1_000, 200)
    """WINDOW_UPDATE; a device that sends two for every packet of sound sends 100 a second."""

    empty_data: Rate = (100, 10)
    """DATA without data or end."""

    odd_frames: Rate = (1_000, 33)
    """Frames of unknown types, GOAWAYs and answers to PINGs."""

    preface_s: float = 10.0
    """From the start of a connection to the peer's preface and SETTINGS."""

    header_block_s: float = 5.0
    """From the first to the last frame of a header block."""

    idle_s: float = 60.0
    """How long a connection may be open with no call."""

    keepalive_s: float = 20.0
    """A peer silent for this long is sent a PING."""

    keepalive_answer_s: float = 10.0
    """A peer that sends nothing for this long after the PING is given up."""

    farewell_s: float = 2.0
    """How long the last bytes of a connection (GOAWAY, trailers) may take to leave."""
