"""Rows and events in words for people. Times are seconds since 1970."""

from __future__ import annotations

import time
from typing import Any

from audio_server.clips.naming import title_of
from audio_server.process.printable import printable

Row = dict[str, Any]

NOTHING = "-"


def title(clip: str | None) -> str:
    """Return the title of a clip: its name without the number in front."""
    return printable(title_of(clip or ""))


def mode(row: Row) -> str:
    """A mode by number and name."""
    return f"{row.get('mode', NOTHING)} {title(row.get('mode_name'))}".rstrip()


def plays(row: Row, now: float) -> str:
    """Return the clip that plays and its position, or the state without one."""
    if row.get("connected") is False:
        return f"away {ago(now - (row.get('last_seen') or row['since']))}"
    playing = row.get("playing")
    if not playing:
        return printable(row.get("state") or NOTHING)
    position_s = playing["position_s"] + max(0.0, now - playing["at"])
    length_s = playing["seconds"]
    if length_s is None:
        return f"{title(playing['clip'])} {clock(position_s)}"
    return f"{title(playing['clip'])} {clock(min(position_s, length_s))}/{clock(length_s)}"


def tags(row: Row) -> str:
    """The tags of a device."""
    return printable(", ".join(row.get("tags") or [NOTHING]))


def press(row: Row, now: float) -> str:
    """The last press and how long ago it was."""
    last = row.get("last_press")
    return f"{printable(last['button'])} {ago(now - last['at'])}" if last else NOTHING


def percent(part: float | None) -> str:
    """A part of one, where it is known."""
    return NOTHING if part is None else f"{part:.0%}"


def milliseconds(value: float | None) -> str:
    """Milliseconds without their unit, with a digit behind the point where they are few."""
    if value is None:
        return NOTHING
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def ago(seconds: float) -> str:
    """Return the age of a time in its largest unit; a time to come counts as now."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= length_s:
            return f"{int(seconds // length_s)}{unit}"
    return f"{max(0, int(seconds))}s"


def moment(at: float) -> str:
    """A date and a time of day here."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
