"""The parts of other nodes' answers, checked: a node of another version may give others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

import msgspec

from audio_server.cluster.interface import Incompatible
from audio_server.fleet.announcements import Report
from audio_server.fleet.interface import Outcome
from audio_server.fleet.listing import TEXTS
from audio_server.judge.order import Progress


class PlayingPart(TypedDict):
    """The facts of a take."""

    clip: str
    mode: int | None
    seconds: float | None
    position_s: float
    at: float


class PressPart(TypedDict):
    """The facts of a press."""

    button: str
    at: float


class RowPart(TypedDict):
    """The facts of a row without which it can be neither shown nor compared."""

    id: str
    name: str | None
    tags: list[str]
    first_seen: float | None
    last_seen: float | None
    connections: int
    takes: int
    errors_ever: int
    connected: bool
    address: str | None
    since: float
    mode: int
    mode_name: str | None
    state: str
    playing: PlayingPart | None
    leds: list[str]
    confirmed: list[str] | None
    last_press: PressPart | None
    battery: float | None
    lead_ms: float | None
    round_trip_ms: float | None
    errors: int
    last_error: str | None
    corrections: int
    streams: list[str]
    firmware: NotRequired[str | None]


class EventPart(TypedDict):
    """The facts of an event without which it can be neither shown nor put in order."""

    seq: int
    at: float
    device: str
    kind: str
    text: str


_PARTS: Mapping[str, Any] = {
    "rows": list[RowPart],
    "follow": list[RowPart],
    "events": list[EventPart],
    "follow_events": list[EventPart],
    "connected": dict[str, int],
    "reports": dict[str, Report],
    **dict.fromkeys(("press_each", "play", "stop", "announce"), dict[str, Outcome]),
    "forget": dict[str, Outcome],
    "judge": Progress,
}
"""The type of each part, by the question."""

_WHOLE = {"rows", "follow", "events", "follow_events"}
"""Questions whose answers are given on as they are: newer nodes may tell more."""


_TextKeys = list[tuple[list[str] | None, str]]
_NumberKeys = list[tuple[list[float] | None, str]]

_KEYS: Mapping[str, tuple[Any, Any]] = {
    "keys": (tuple[_TextKeys, int], tuple[_NumberKeys, int]),
    "places": (tuple[int, _TextKeys, list[int]], tuple[int, _NumberKeys, list[int]]),
    "keys_from": (tuple[_TextKeys, int, int], tuple[_NumberKeys, int, int]),
}
"""The types of parts with keys that are texts, and with those that are numbers."""


def checker_of(what: str, facts: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return a function that returns a part of the answer to a question in its types, and raises
    `Incompatible` for one of another version."""
    is_whole = what in _WHOLE
    if what in _KEYS:
        kind: Any = _KEYS[what][0 if facts["wanted"].sort in TEXTS else 1]
    else:
        kind = _PARTS[what]

    def check(part: Any) -> Any:
        try:
            converted = msgspec.convert(part, kind)
        except msgspec.ValidationError:
            raise Incompatible from None
        return part if is_whole else converted

    return check
