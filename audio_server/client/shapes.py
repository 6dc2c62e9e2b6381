"""The keys and types that commands read of a server's answers: any other answer is refused here.

Keys that are not named are ignored, and texts may be any, so that a newer server is understood.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, Required, TypedDict

import msgspec
from msgspec import Meta

Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]
Led = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{8}$")]


class Playing(TypedDict):
    """A take."""

    clip: str
    seconds: Number | None
    position_s: Number
    at: Number


class LastPress(TypedDict):
    """A press."""

    button: str
    at: Number


class Device(TypedDict, total=False):
    """A row."""

    id: Required[str]
    since: Required[Number]
    mode: Required[Count]
    leds: Required[list[Led]]
    name: str | None
    connected: bool
    address: str | None
    worker: Count | None
    node: str | None
    tags: list[str]
    first_seen: Number | None
    last_seen: Number | None
    connections: Count
    takes: Count
    errors_ever: Count
    mode_name: str | None
    state: str
    playing: Playing | None
    confirmed: list[str | None] | None
    last_press: LastPress | None
    battery: Number | None
    lead_ms: Number | None
    round_trip_ms: Number | None
    errors: Count
    last_error: str | None
    corrections: Count
    streams: list[str]
    firmware: str | None


class Devices(TypedDict):
    """All rows, or some of them."""

    rows: list[Device]
    now: Number
    next: NotRequired[str | None]
    missing: NotRequired[list[str]]


class Forgotten(TypedDict):
    """A device that is known no more."""

    id: str


class Counts(TypedDict):
    """How many devices a cluster has."""

    connected: Count
    playing: Count
    failing: Count


class Changes(TypedDict, total=False):
    """Rows that have changed, and ids of devices that have gone; of a cluster, more."""

    rows: list[Device]
    gone: list[str]
    now: Number
    counts: Counts
    missing: list[str]


class Event(TypedDict):
    """Something that happened to a device."""

    seq: int
    at: Number
    device: str
    text: str


class Events(TypedDict):
    """Several events."""

    events: list[Event]


class Outcomes(TypedDict):
    """The outcome of an action."""

    done: Count
    gone: NotRequired[list[str]]
    failed: NotRequired[dict[str, str]]
    missing: NotRequired[list[str]]


class Announced(Outcomes):
    """An announcement that was made."""

    id: str


class Heard(TypedDict):
    """What has become of an announcement on a device."""

    hearing: str
    reason: NotRequired[str | None]


class Announcement(TypedDict):
    """An announcement on all its devices."""

    id: str
    over: bool
    devices: dict[str, Heard]
    missing: NotRequired[list[str]]


class Sound(TypedDict):
    """A sound that is kept for a while."""

    sound: str


class Channel(TypedDict):
    """A live channel."""

    name: str
    mode: Count
    sending: bool
    node: NotRequired[str | None]


class Channels(TypedDict):
    """All live channels."""

    channels: list[Channel]


class Recording(TypedDict):
    """A recording of a live channel."""

    name: str
    channel: str
    begun: Number
    seconds: Number
    bytes: Count
    running: bool


class Recordings(TypedDict):
    """All recordings."""

    recordings: list[Recording]


class ClipSource(TypedDict):
    """The sound that a clip was made of."""

    codec: str
    rate_hz: int
    channels: int
    passed_through: bool


class Clip(TypedDict):
    """A clip as commands name it."""

    mode: Count
    title: str


class WholeClip(Clip):
    """A clip as it is listed."""

    file: str
    name: str
    seconds: Number | None
    bit_rate_bps: Number
    source: ClipSource | None


class Clips(TypedDict):
    """All clips."""

    clips: list[Clip]


class ListedClips(TypedDict):
    """All clips, to be listed."""

    clips: list[WholeClip]


class Group(TypedDict):
    """A group with its settings."""

    name: str
    source: str | None
    settings: dict[str, str | int]
    clips: list[str] | None
    devices: Count
    connected: Count
    missing: NotRequired[list[str]]


class Groups(TypedDict):
    """All groups."""

    groups: list[Group]
    missing: NotRequired[list[str]]


class Sent(TypedDict):
    """Sound that was sent to a live channel."""

    seconds: float


class Finding(TypedDict):
    """The verdict on a duty of a device."""

    duty: str
    verdict: str
    seen: list[str]


class Judged(TypedDict, total=False):
    """A step of a trial, its findings, or the reason for which there are none."""

    text: str
    reason: str
    device: str
    duties: list[Finding]
    left: str | None


def has_shape(document: Any, shape: Any) -> bool:
    """Whether a document can be read as one of these."""
    try:
        msgspec.convert(document, shape)
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):  # lone surrogates, nests
        return False
    return True
