"""The bounds on a peer, in one place: unit, range, default and meaning of each.

The server makes each a setting: `max_streams` is the flag `--limits.max-streams`, the environment
variable `AUDIO_SERVER_LIMITS_MAX_STREAMS` and a line in the table `[limits]` of the TOML file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from audio_server.rpc.rate_limit import Rate

_KIB = 1024
_MIB = 1024 * _KIB
_HOUR_S = 3600

Pace = Rate


class Range(NamedTuple):
    """The least and the largest value of a field: metadata for a program that reads settings."""

    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of a server and of each connection.

    The defaults fit devices with three calls and small messages. With several workers each counts
    for itself. Frames past their `Pace` end the connection with ENHANCE_YOUR_CALM.
    """

    # Connections

    max_connections: Annotated[int, Range(1, 1_000_000)] = 10_000
    """Connections at once. Past it the oldest unauthenticated one gives way, or else the newest is
    closed. The default is `max_devices` where that is more; open files bound it too."""

    arrivals: Rate = (50, 500)
    """Connections let in; past it they wait in the kernel's queue, and nothing is lost. Those that
    are turned away at once do not count."""

    max_unauthenticated: Annotated[int, Range(1, 1_000_000)] = 100
    """Unauthenticated connections from one address (of IPv6: one /56)."""

    abandoned: Pace = (200, 20)
    """Connections from one address that ended unauthenticated; past it more are closed at once.
    Those of devices cost nothing."""

    handshake_s: Annotated[float, Range(0.1, 600)] = 10.0
    """How long a TLS handshake may take, and a PROXY header before it."""

    preface_s: Annotated[float, Range(0.1, 600)] = 10.0
    """From the start of a connection to the peer's preface and SETTINGS."""

    idle_s: Annotated[float, Range(1, 24 * _HOUR_S)] = 60.0
    """How long a connection may be open with no call."""

    max_age_s: Annotated[float, Range(0, 30 * 24 * _HOUR_S)] = 0.0
    """The age at which a connection is asked to go, a fifth more or less, unless its device plays:
    so that devices come to new servers behind a balancer. 0: never."""

    keepalive_s: Annotated[float, Range(1, _HOUR_S)] = 20.0
    """A peer silent for this long is sent a PING."""

    keepalive_answer_s: Annotated[float, Range(0.1, 600)] = 10.0
    """A peer that sends nothing for this long after the PING is given up."""

    close_timeout_s: Annotated[float, Range(0, 60)] = 2.0
    """How long the last bytes of a connection (GOAWAY, trailers) may take to leave."""

    # Calls and their messages

    max_streams: Annotated[int, Range(3, 1_000)] = 100
    """Concurrent calls, counted until the handler has exited; more are refused. RFC 9113 recommends
    100 or more, for proxies that carry several devices on one connection."""

    max_unidentified_calls: Annotated[int, Range(1, 1_000)] = 16
    """Calls of one connection that no device makes, such as health checks, and that last for more
    than a second."""

    calls: Pace = (100, 10)
    """Calls opened; past it the connection is not read for a while, and nothing is lost."""

    max_pause_s: Annotated[float, Range(0, 60)] = 2.0
    """The longest such while; calls so many at once that it would be longer are an attack."""

    max_message_bytes: Annotated[int, Range(_KIB, 4 * _MIB)] = 64 * _KIB
    """One gRPC message, judged on its prefix; less than the connection's window."""

    max_metadata_bytes: Annotated[int, Range(512, _MIB)] = 8 * _KIB
    """Names and values of one request's metadata together."""

    max_metadata_fields: Annotated[int, Range(16, 10_000)] = 100
    """Fields of one request's metadata, with the six of HTTP's own."""

    max_header_block_bytes: Annotated[int, Range(_KIB, _MIB)] = 16 * _KIB
    """One compressed header block; also advertised as MAX_HEADER_LIST_SIZE."""

    max_continuations: Annotated[int, Range(0, 1_000)] = 8
    """CONTINUATION frames of one header block."""

    header_block_s: Annotated[float, Range(0.1, 600)] = 5.0
    """From the first to the last frame of a header block."""

    # Waiting bytes, in and out

    stream_window_bytes: Annotated[int, Range(_KIB, 16 * _MIB)] = 64 * _KIB
    """Receive window of a stream."""

    connection_window_bytes: Annotated[int, Range(64 * _KIB, 64 * _MIB)] = 256 * _KIB
    """Receive window of the connection."""

    busy_bytes: Annotated[int, Range(_KIB, 16 * _MIB)] = 16 * _KIB
    """With more than this waiting for the socket, streams stop handing over data."""

    max_waiting_bytes: Annotated[int, Range(4 * _KIB, 64 * _MIB)] = 256 * _KIB
    """With more than this waiting for the peer, it is given up; more than `busy_bytes`."""

    max_waiting_answers: Annotated[int, Range(10, 1_000_000)] = 1_000
    """With more acknowledgements and resets than this waiting, the peer is given up."""

    # Frames

    resets: Pace = (100, 5)
    """Streams that the peer resets, or that its faults and its greed make us reset."""

    ping_apart_s: Annotated[float, Range(0, _HOUR_S)] = 10.0
    """A PING that comes sooner after another, with no headers or data of ours between: a strike."""

    ping_strikes: Annotated[int, Range(0, 1_000)] = 2
    """Strikes that are let pass."""

    settings: Pace = (100, 10)
    """SETTINGS and their acknowledgements."""

    max_settings: Annotated[int, Range(6, 2_000)] = 32
    """Values in one SETTINGS frame."""

    priorities: Pace = (1_000, 33)
    """PRIORITY, which means nothing here."""

    window_updates: Pace = (1_000, 200)
    """WINDOW_UPDATE; a device that sends two for every packet of sound sends 100 a second."""

    empty_data: Pace = (100, 10)
    """DATA without data or end."""

    odd_frames: Pace = (1_000, 33)
    """Frames of unknown types, GOAWAYs and answers to PINGs."""

    # Reading

    unread_s: Annotated[float, Range(1, _HOUR_S)] = 30.0
    """A take of which a device has taken nothing for so long is cut, and a call that is over and
    whose status it takes no sooner is reset."""


def check_together(limits: Limits) -> None:
    """Raises `ValueError` for limits of which each is possible, but not all at once."""
    if limits.max_message_bytes + 5 > limits.connection_window_bytes:
        raise ValueError("limits.max_message_bytes does not fit in limits.connection_window_bytes")
    if limits.busy_bytes >= limits.max_waiting_bytes:
        raise ValueError("limits.max_waiting_bytes must be more than limits.busy_bytes")
