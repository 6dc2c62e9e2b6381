"""Requests and answers as JSON. The OpenAPI document takes its descriptions from the docstrings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from audio_server.clips.peaks import POINTS_MAX
from audio_server.device.events import DeviceEvent
from audio_server.fleet.listing import Sort
from audio_server.fleet.names import NAME_MAX, TAG, TAGS_MAX
from audio_server.wire.firmware import FIRMWARE_MAX

DEVICES_MAX = 100_000
"""How many devices a request may name."""

CLIPS_MAX = 10_000

ROWS_MAX = 5_000
"""How many devices a page of a list may have."""

QUERY_MAX = 200


Colour = Annotated[str, Meta(pattern="^#[0-9a-f]{8}$", description="#rrggbbaa, aa is intensity")]
Confirmed = Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")]
Time = Annotated[float, Meta(description="seconds since 1970")]
NAME: dict[str, object] = {
    "minLength": 1,
    "maxLength": NAME_MAX,
    "description": "without control characters; blanks round it are dropped",
}
Button = Literal["mode", "play", "stop", "connect"]
Tag = Annotated[
    str, Meta(pattern=TAG, description="a-z, digits, dots, hyphens, underscores; of 32 at most")
]
Ids = Annotated[list[str], Meta(min_length=1, max_length=DEVICES_MAX)]
Tags = Annotated[
    list[Annotated[str, Meta(extra_json_schema={"pattern": TAG})]], Meta(max_length=TAGS_MAX)
]


Missing = Annotated[
    list[str] | UnsetType,
    Meta(
        description="nodes of the cluster that gave no answer in time, or, named with "
        "`(incompatible version)`, none that is understood; nothing of them is here; `cluster` "
        "where it cannot be reached"
    ),
]


class Error(Struct):
    """Why something was not done."""

    error: Annotated[str, Meta(description="one line")]


class About(Struct):
    """The server itself."""

    name: Literal["streaming-audio-server"]
    version: str
    workers: Annotated[int, Meta(ge=1, description="how many processes serve devices")]
    login: Annotated[bool, Meta(description="whether operators need a token here")]
    reason: Annotated[
        str | None, Meta(description="why no page can be a device here; null where it can")
    ]
    judge: Annotated[
        str, Meta(description="the command that judges devices in the place of this server")
    ]


class Playing(Struct):
    """The take that plays."""

    clip: str
    mode: Annotated[int | None, Meta(description="whose clip it is; null for an announcement")]
    seconds: Annotated[
        float | None, Meta(description="the clip's length; null for sound without an end")
    ]
    position_s: Annotated[float, Meta(description="where the take was at `at`")]
    at: Time


class LastPress(Struct):
    """The newest press of a button."""

    button: Button
    at: Time


class Device(Struct):
    """A device as it is now, or as it was when it went."""

    id: str
    name: Annotated[str | None, Meta(description="the name that an operator gave it")]
    tags: Annotated[list[Tag], Meta(max_length=TAGS_MAX)]
    first_seen: Time | None
    last_seen: Annotated[Time | None, Meta(description="null while it is connected")]
    connections: Annotated[int, Meta(ge=0, description="how often it has connected")]
    takes: Annotated[int, Meta(ge=0, description="ever begun, up to a minute ago")]
    errors_ever: Annotated[int, Meta(ge=0, description="of all its connections, a minute ago")]
    connected: bool
    address: str | None
    worker: Annotated[int | None, Meta(description="the process that has it, with --workers")]
    node: Annotated[str | None, Meta(description="the node that has it, with --cluster")]
    since: Annotated[Time, Meta(description="when it connected; when it was last seen, if away")]
    mode: Annotated[int, Meta(ge=0)]
    mode_name: Annotated[str | None, Meta(description="its clip; null for a mode without one")]
    state: Literal["idle", "playing", "paused", "announcing", "error"]
    playing: Playing | None
    leds: Annotated[list[Colour], Meta(min_length=6, max_length=6, description="as last sent")]
    confirmed: Annotated[
        Annotated[list[Confirmed], Meta(min_length=6, max_length=6)] | None,
        Meta(description="as the device last said them to be"),
    ]
    last_press: LastPress | None
    battery: Annotated[float | None, Meta(description="0 to 1; null for unknown")]
    lead_ms: Annotated[int | None, Meta(description="how far sound is sent ahead")]
    round_trip_ms: float | None
    errors: Annotated[int, Meta(ge=0)]
    last_error: str | None
    corrections: Annotated[int, Meta(ge=0, description="how often its LEDs were put right")]
    streams: list[Literal["status", "events", "audio"]]
    firmware: Annotated[
        str | None, Meta(description="as metadata of its calls names it; null if they never did")
    ]


class Devices(Struct):
    """Devices: those that are connected, or those that the parameters ask for."""

    rows: list[Device]
    now: Time
    found: Annotated[int, Meta(ge=0, description="how many there are, with those not listed here")]
    next: Annotated[str | None, Meta(description="the `cursor` of the devices that follow")]
    missing: Missing = UNSET


class Forgotten(Struct):
    """A device that is known no more."""

    id: str


class Named(Struct):
    """A device and its name."""

    id: str
    name: str | None


class Event(Struct):
    """Something that happened to a device; by its `kind` there are more facts."""

    seq: Annotated[
        int,
        Meta(
            description="unique, of all nodes of a cluster too; later ones of a device are greater"
        ),
    ]
    at: Time
    device: str
    kind: DeviceEvent
    text: Annotated[str, Meta(description="one line for people")]


class Events(Struct):
    """Events, oldest first."""

    events: list[Event]


class Source(Struct):
    """The file that a clip was made from."""

    codec: str
    rate_hz: int
    channels: int
    passed_through: Annotated[bool, Meta(description="whether it is sent bit for bit")]


class Clip(Struct):
    """A clip. Any of `file`, `name` and, if no other clip has it, `title` stands for it."""

    mode: Annotated[int, Meta(ge=0)]
    file: str
    name: Annotated[str, Meta(description="the file without its suffix")]
    title: Annotated[str, Meta(description="the name without the number in front")]
    seconds: Annotated[float | None, Meta(description="length; null for sound without an end")]
    bit_rate_bps: int
    source: Source | None


class Clips(Struct):
    """All clips; the index is the mode."""

    clips: list[Clip]
    fixed_because: Annotated[
        str | None, Meta(description="why nothing can be changed here; null where it can")
    ]
    own: Annotated[
        bool,
        Meta(
            description="false for a group without clips of its own, which has those of all "
            "devices; the first change gives it a folder with copies of them"
        ),
    ] = True


class Waveform(Struct):
    """How loud a clip is, from its beginning to its end."""

    peaks: list[Annotated[float, Meta(ge=0, le=1)]]


class Outcomes(Struct):
    """The outcome of an action on devices."""

    done: Annotated[int, Meta(ge=0, description="to how many devices it was done")]
    gone: Annotated[list[str], Meta(description="ids of those that are not connected")]
    failed: Annotated[dict[str, str], Meta(description="why it failed, by id")]
    missing: Missing = UNSET


# -- requests


class Rename(Struct, forbid_unknown_fields=True):
    """Another name for a device; null takes it away."""

    name: Annotated[str, Meta(extra_json_schema=NAME)] | None


class Found(Struct, forbid_unknown_fields=True):
    """The devices that are asked for; without parameters all that are connected."""

    state: Annotated[
        Literal["connected", "offline", "all", "playing", "idle", "paused", "announcing", "error"],
        Meta(description="`offline` devices are away; all but `all` and `offline` are connected"),
    ] = "connected"
    tag: Annotated[Tag | None, Meta(description="with this tag alone")] = None
    errors: Annotated[bool, Meta(description="with errors alone")] = False
    leds: Annotated[
        Literal["differ"] | UnsetType,
        Meta(description="`differ`: connected, and their LEDs are others than those sent"),
    ] = UNSET
    firmware: Annotated[
        Annotated[str, Meta(max_length=FIRMWARE_MAX)] | UnsetType,
        Meta(description="with this firmware alone"),
    ] = UNSET
    q: Annotated[
        Annotated[str, Meta(max_length=QUERY_MAX)] | None,
        Meta(description="words of id, name, tags, address, mode, clip or firmware"),
    ] = None
    sort: Annotated[Sort, Meta(description="devices without such a value come last")] = "id"
    backwards: bool = False


class Group(Struct, forbid_unknown_fields=True):
    """All devices that have a tag, or that a list has; exactly one of the two."""

    tag: Tag | None = None
    match: Found | None = None


Which = Annotated[
    Ids | Literal["all"] | Group,
    Meta(description='ids of devices, "all", those with a tag, or those that match as in a list'),
]


class Listing(Found, forbid_unknown_fields=True):
    """The devices to list; without parameters all that are connected."""

    limit: Annotated[
        Annotated[int, Meta(ge=1, le=ROWS_MAX)] | UnsetType,  # None would be "null" in a query
        Meta(description="how many; without it all, or 500 with `--cluster`, where no more are"),
    ] = UNSET
    cursor: Annotated[str | None, Meta(description="`next` of the answer before")] = None


class Watching(Found, forbid_unknown_fields=True):
    """The devices to follow, where a cluster has more than 500; without one all are followed."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 500
    offset: Annotated[
        int,
        Meta(ge=0, description="the place of the first one in the whole list, with `--cluster`"),
    ] = 0


class Press(Struct, forbid_unknown_fields=True):
    """A button, pressed and let go."""

    button: Button


class Judge(Struct, forbid_unknown_fields=True):
    """How a device is to be judged."""

    press_s: Annotated[
        float, Meta(ge=0, le=120, description="how long it asks for presses; 0: not at all")
    ] = 30.0
    return_s: Annotated[
        float, Meta(ge=1, le=120, description="how long the device may take to come back")
    ] = 60.0
    cut: Annotated[bool, Meta(description="whether a take that plays may be cut for it")] = False


class PressAll(Struct, forbid_unknown_fields=True):
    """A button of several devices, pressed and let go."""

    devices: Which
    button: Button


class Tagging(Struct, forbid_unknown_fields=True):
    """Tags that devices shall have, and tags that they shall have no more."""

    devices: Which
    add: Tags = []
    remove: Tags = []


class Play(Struct, forbid_unknown_fields=True):
    """A clip or a live channel, exactly one, to be played now; the devices' modes stay."""

    devices: Which
    clip: Annotated[
        str | None,
        Meta(description="its file, name, title or mode, or the name of a live channel"),
    ] = None
    live: Annotated[str | None, Meta(description="the name of a live channel")] = None


class Stop(Struct, forbid_unknown_fields=True):
    """Devices to stop; their modes stay."""

    devices: Which


class Following(Struct, forbid_unknown_fields=True):
    """Whose events, and whether to go on with them."""

    device: Annotated[str | None, Meta(description="of this device alone")] = None
    follow: Annotated[
        bool, Meta(description="as server-sent events, from now on, until one of us hangs up")
    ] = False


class Order(Struct, forbid_unknown_fields=True):
    """All clips, each once, as they shall be."""

    names: Annotated[list[str], Meta(min_length=1, max_length=CLIPS_MAX)]


class Retitle(Struct, forbid_unknown_fields=True):
    """Another title for a clip."""

    title: Annotated[str, Meta(min_length=1, description="a file's name without a number")]


class OfGroup(Struct, forbid_unknown_fields=True, kw_only=True):
    """The group whose clips are meant."""

    group: Annotated[
        Tag | None, Meta(description="the clips of this group; without it those of all devices")
    ] = None


class OfWhom(OfGroup, kw_only=True):
    """The group or the device whose clips are meant."""

    device: Annotated[
        str | None, Meta(description="the clips of this device: those of its group, or of all")
    ] = None


class Upload(OfGroup, kw_only=True):
    """The name of the file that is sent."""

    name: Annotated[str, Meta(description="a file's name, such as bell.flac")]


class SoundName(Struct, forbid_unknown_fields=True):
    """The name of the sound that is sent."""

    name: Annotated[str, Meta(description="a file's name, such as bell.flac")]


class Points(OfWhom, kw_only=True):
    """How fine a waveform shall be."""

    points: Annotated[int, Meta(ge=1, le=POINTS_MAX)] = 400


class Nothing(Struct, forbid_unknown_fields=True):
    """No parameters."""
