"""All that is counted. The numbers of one process lie in one array, family after family."""

from __future__ import annotations

from itertools import product
from typing import get_args

from grpclib.const import Status

from audio_server.cluster.instrumentation import LivePackets
from audio_server.device.instrumentation import LedFault, Outcome
from audio_server.metrics.family import Family, Labels, counter, counters, gauge, histogram

OTHER = "other"
"""The value of a label where none applies."""

METHODS = (
    *(f"com.opalcamera.test.DeviceService/{m}" for m in ("StatusStream", "EventStream")),
    "com.opalcamera.test.DeviceService/ServerAudioStream",
    *(f"grpc.health.v1.Health/{method}" for method in ("Check", "Watch")),
    *(f"grpc.reflection.{v}.ServerReflection/ServerReflectionInfo" for v in ("v1", "v1alpha")),
    OTHER,
)

_FINE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

DEVICES = gauge("audio_server_devices_connected", "Devices that are connected.")
PLAYING = gauge("audio_server_devices_playing", "Devices that have a take.")
FAILING = gauge("audio_server_devices_failing", "Devices that cannot play their clip.")
ARRIVALS = counter(
    "audio_server_device_arrivals_total", "Devices that connected while not connected."
)
RECONNECTS = counter(
    "audio_server_device_reconnects_total",
    "Devices that came on another connection than the one they were last known on.",
)
TAKEOVERS = counter(
    "audio_server_device_takeovers_total",
    "Reconnects for which the connection before had to be ended.",
)
TAKES = counters(
    "audio_server_takes_total",
    "Takes that are over, by how they ended.",
    "outcome",
    [outcome.value for outcome in Outcome],
)
PACKETS = counter(
    "audio_server_sound_packets_total", "Packets of sound (20 ms each) handed over for sending."
)
SOUND_BYTES = counter(
    "audio_server_sound_bytes_total", "Bytes of sound, framed for gRPC, handed over for sending."
)
REFILLS = histogram(
    "audio_server_refill_lateness_seconds",
    "How long after its due time a take was served by the timer wheel.",
    _FINE_S,
)
ACKS = histogram(
    "audio_server_press_ack_seconds", "From receiving a button's event to sending its ack.", _FINE_S
)
LED_FAULTS = counters(
    "audio_server_led_faults_total",
    "LED frames, and questions for the LEDs, that a device refused or did not answer in time.",
    "fault",
    [fault.value for fault in LedFault],
)
LED_CORRECTIONS = counter(
    "audio_server_led_corrections_total",
    "LED frames sent again to a device that showed something else.",
)
CONNECTIONS = gauge("audio_server_connections_open", "Connections that are open.")
CONNECTIONS_OPENED = counter("audio_server_connections_total", "Connections that were let in.")
CONNECTIONS_REFUSED = counters(
    "audio_server_connections_refused_total",
    "Connections that were closed before they began.",
    "reason",
    [
        "too_many_connections",
        "too_many_unauthenticated_connections_from_one_address",
        "too_many_abandoned_connections_from_one_address",
        "handshake",
        "proxy_header",
        OTHER,
    ],
)
CONNECTIONS_DROPPED = counters(
    "audio_server_connections_dropped_total",
    "Connections that the server ended for a fault or a silence of their peer.",
    "reason",
    [
        "silent",
        "not_reading",
        "gave_way",
        "idle",
        "protocol_error",
        "enhance_your_calm",
        "flow_control_error",
        "frame_size_error",
        "compression_error",
        "stream_closed",
        OTHER,
    ],
)
REQUESTS_REFUSED = counters(
    "audio_server_requests_refused_total",
    "Requests that came to no handler.",
    "reason",
    ["draining", "too_many_calls", "unknown_method", "too_large", "not_grpc", "not_http", OTHER],
)
CALLS_OPEN = Family(
    "audio_server_calls_open",
    "gauge",
    "Calls that are open.",
    ("method",),
    tuple((method,) for method in METHODS),
)
CALLS = Family(
    "audio_server_calls_total",
    "counter",
    "Calls that are over, by gRPC status.",
    ("method", "code"),
    tuple(product(METHODS, [status.name for status in Status])),
    sparse=True,
)
CLUSTER_UP = gauge(
    "audio_server_cluster_up",
    "1 while the state that servers share can be reached; without --cluster always.",
)
CLUSTER_NODES = gauge(
    "audio_server_cluster_nodes",
    "Servers that share the cluster, with this one; 0 while it cannot be reached, or without one.",
)
MEMORY_ACKS = counter(
    "audio_server_cluster_memory_acks_total",
    "Presses that were acknowledged while the cluster had not kept their mode.",
)
PROVISIONAL = gauge(
    "audio_server_cluster_provisional_devices",
    "Devices that were let in without the cluster, and that it has not granted yet.",
)
LIVE_PACKETS = counters(
    "audio_server_cluster_live_packets_total",
    "Packets of live channels between the nodes of a cluster: sent, for each node that listens, "
    "dropped before the engine, received, and missed by a node that listens.",
    "what",
    get_args(LivePackets),
)
LOOP_LAG = histogram(
    "audio_server_loop_lag_seconds",
    "How long after its due time a task ran that is due ten times a second.",
    _FINE_S,
)

CERTIFICATE_ENDS = Family(
    "audio_server_certificate_expiry_timestamp_seconds",
    "gauge",
    "When the first certificate of a file expires, since the epoch.",
    ("file",),
    (("server",), ("client_ca",)),
    sparse=True,
)
WORKER_ENDS = counters(
    "audio_server_worker_ends_total",
    "Processes of workers that ended without being asked to, by how.",
    "how",
    ["ended", "hung", OTHER],
)
COLLECTIONS = histogram(
    "audio_server_full_collection_seconds",
    "How long full collections of garbage stopped the loop.",
    _FINE_S,
)

FAMILIES = (
    DEVICES,
    PLAYING,
    FAILING,
    ARRIVALS,
    RECONNECTS,
    TAKEOVERS,
    TAKES,
    PACKETS,
    SOUND_BYTES,
    REFILLS,
    ACKS,
    LED_FAULTS,
    LED_CORRECTIONS,
    CONNECTIONS,
    CONNECTIONS_OPENED,
    CONNECTIONS_REFUSED,
    CONNECTIONS_DROPPED,
    REQUESTS_REFUSED,
    CALLS_OPEN,
    CALLS,
    CLUSTER_UP,
    CLUSTER_NODES,
    MEMORY_ACKS,
    PROVISIONAL,
    LIVE_PACKETS,
    LOOP_LAG,
    COLLECTIONS,
    WORKER_ENDS,
    CERTIFICATE_ENDS,
)

PID_AT = 0
"""Where the process has its id."""

BEATS_AT = 1
"""Where it counts how often its loop has run."""


def _starts() -> dict[str, int]:
    starts, at = {}, BEATS_AT + 1
    for family in FAMILIES:
        starts[family.name] = at
        at += family.size
    return starts


_STARTS = _starts()
SIZE = BEATS_AT + 1 + sum(family.size for family in FAMILIES)
"""How many numbers a process has."""


def start_of(family: Family) -> int:
    """Where the numbers of a family begin."""
    return _STARTS[family.name]


def places(family: Family) -> dict[Labels, int]:
    """Where the numbers of each series of a family begin."""
    start = start_of(family)
    return {labels: start + n * family.width for n, labels in enumerate(family.series)}
