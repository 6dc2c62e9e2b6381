"""Requests and answers of announcements as JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct

from audio_server.clips.speech import TEXT_MAX
from audio_server.device.announcing import PRIORITY_MAX, PRIORITY_MIN
from audio_server.web.api.models import Missing, Which

WAIT_MAX_S = 25
"""How long a request may wait for announcements: less than the 30 s of common proxies."""


class Sound(Struct):
    """A sound that is kept for a while."""

    sound: Annotated[str, Meta(description="stands for it in announcements")]
    seconds: float


class Announced(Struct):
    """An announcement that was made."""

    id: str
    seconds: Annotated[float, Meta(description="how long it takes")]
    done: Annotated[int, Meta(ge=0, description="on how many devices it plays, or waits")]
    gone: Annotated[list[str], Meta(description="ids of those that are not connected")]
    failed: Annotated[dict[str, str], Meta(description="why it cannot be played, by id")]
    missing: Missing = UNSET


Hearing = Literal[
    "waiting", "playing", "heard", "cut", "lost", "stalled", "failed", "not_connected"
]


class Heard(Struct):
    """What has become of an announcement on a device."""

    hearing: Annotated[
        Hearing,
        Meta(description="`heard`: to the end, by the playback clock; `waiting` or `playing`: yet"),
    ]
    reason: Annotated[str | None, Meta(description="why it was not heard, and by whom it was cut")]


class Announcement(Struct):
    """An announcement on all its devices."""

    id: str
    sound: Annotated[str, Meta(description="its title")]
    seconds: float
    over: Annotated[bool, Meta(description="whether it is over on all of them")]
    devices: Annotated[dict[str, Heard], Meta(description="by id")]
    missing: Missing = UNSET


class Announce(Struct, forbid_unknown_fields=True):
    """Exactly one of `clip`, `say` and `sound`, over what plays on devices."""

    devices: Which
    clip: Annotated[str | None, Meta(description="its file, name or title")] = None
    say: Annotated[
        Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)] | None,
        Meta(description="text, spoken by the server's `tts_command`"),
    ] = None
    sound: Annotated[str | None, Meta(description="as `/api/sounds` named it")] = None
    chime: Annotated[bool, Meta(description="whether two tones come before it")] = False
    priority: Annotated[
        int,
        Meta(
            ge=PRIORITY_MIN,
            le=PRIORITY_MAX,
            description="a higher one replaces the announcement that plays, others wait",
        ),
    ] = PRIORITY_MIN


class Waiting(Struct, forbid_unknown_fields=True):
    """How long to wait for the end."""

    wait_s: Annotated[float, Meta(ge=0, le=WAIT_MAX_S, description="0: answer at once")] = 0.0
