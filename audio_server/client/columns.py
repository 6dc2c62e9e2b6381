"""Devices as a table: its columns, and the order by each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rich.text import Text

from audio_server.client import words
from audio_server.client.words import Row
from audio_server.process.printable import printable

_STYLES = {"playing": "green", "error": "bold red"}
_STATES = ("error", "playing", "idle")


GLYPHS = (("●", "○"), ("●", "○"), ("■", "□"), ("◆", "◇"), ("▲", "△"), ("●", "○"))
"""Each lit and dark: power, status, square, rhomboid, triangle, circle."""


class Column(NamedTuple):
    """`cell` gets a row and the time; rows are sorted by `order`, least first."""

    heading: str
    cell: Callable[[Row, float], Text]
    order: Callable[[Row], Any]
    right: bool = False


def natural(text: str) -> tuple[tuple[str, int], ...]:
    """A key by which device-9 comes before device-10."""
    parts = re.findall(r"(\D*)(\d*)", text)
    return tuple((word.lower(), int(number or -1)) for word, number in parts)


def lamps(leds: Sequence[str]) -> Text:
    """LEDs as `#rrggbbaa` has them; a screen has no intensity, so the colour is as much darker."""
    text = Text()
    for (lit, dark), led in zip(GLYPHS, leds, strict=False):
        colour = _shade(led)
        text.append(dark if colour == "#000000" else lit, "dim" if colour == "#000000" else colour)
    return text


def _shade(led: str) -> str:
    red, green, blue, alpha = bytes.fromhex(led.removeprefix("#").ljust(8, "f"))
    return "#" + "".join(f"{round(part * alpha / 255):02x}" for part in (red, green, blue))


def _text(of: Callable[[Row, float], object]) -> Callable[[Row, float], Text]:
    return lambda row, now: Text(printable(of(row, now)))


def _plays(row: Row, now: float) -> Text:
    style = "dim" if row.get("connected") is False else _STYLES.get(str(row.get("state")), "")
    return Text(words.plays(row, now), style=style)


def _errors(row: Row, now: float) -> Text:
    count = row.get("errors", 0)
    return Text(str(count), style="bold red" if count else "dim")


def _most(key: str) -> Callable[[Row], Any]:
    """Sort by falling value, unknown values last."""
    return lambda row: 1.0 if row.get(key) is None else -row[key]


def _least(key: str) -> Callable[[Row], Any]:
    return lambda row: float("inf") if row.get(key) is None else row[key]


def _state(row: Row) -> int:
    if row.get("connected") is False:
        return len(_STATES) + 1
    return _STATES.index(row["state"]) if row.get("state") in _STATES else len(_STATES)


def _last_press(row: Row) -> float:
    return -row["last_press"]["at"] if row.get("last_press") else 0.0


# The first are the last to go where there is little room.
COLUMNS: Mapping[str, Column] = {
    "id": Column("id", _text(lambda row, _: row["id"]), lambda row: 0),
    "state": Column("state", _plays, _state),
    "mode": Column("mode", _text(lambda row, _: words.mode(row)), lambda row: row["mode"]),
    "name": Column(
        "name",
        _text(lambda row, _: row.get("name") or words.NOTHING),
        lambda row: (row.get("name") is None, natural(row.get("name") or "")),
    ),
    "leds": Column("leds", lambda row, _: lamps(row["leds"]), lambda row: row["leds"]),
    "press": Column("press", _text(words.press), _last_press),
    "since": Column(
        "since", _text(lambda row, now: words.ago(now - row["since"])), _most("since"), right=True
    ),
    "errors": Column("errors", _errors, _most("errors"), right=True),
    "lead": Column(
        "lead ms",
        _text(lambda row, _: words.milliseconds(row.get("lead_ms"))),
        _least("lead_ms"),
        right=True,
    ),
    "trip": Column(
        "trip ms",
        _text(lambda row, _: words.milliseconds(row.get("round_trip_ms"))),
        _most("round_trip_ms"),
        right=True,
    ),
    "battery": Column(
        "battery",
        _text(lambda row, _: words.percent(row.get("battery"))),
        _least("battery"),
        right=True,
    ),
    "address": Column(
        "address", _text(lambda row, _: row.get("address")), lambda row: str(row.get("address"))
    ),
    "node": Column(
        "node",
        _text(lambda row, _: row.get("node") or words.NOTHING),
        lambda row: (row.get("node") is None, natural(row.get("node") or "")),
    ),
    "worker": Column(
        "worker",
        _text(lambda row, _: row.get("worker") or words.NOTHING),
        lambda row: row.get("worker") or 0,
        right=True,
    ),
    "tags": Column(
        "tags",
        _text(lambda row, _: words.tags(row)),
        lambda row: (not row.get("tags"), row.get("tags") or []),
    ),
}


def sort(rows: Iterable[Row], key: str, *, backwards: bool = False) -> list[Row]:
    """Rows by a column, and by id where that is the same."""
    order = COLUMNS[key].order
    return sorted(rows, key=lambda row: (order(row), natural(row["id"])), reverse=backwards)
