"""The part of all devices that is asked for: found, put in order, and cut to a length.

A key stands for a row: the value by which it is sorted, and the id. Nodes give their first keys,
which are merged before anybody asks for rows, so that no list of all devices is made anywhere.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import msgspec
import trio

from audio_server.fleet.interface import Row

_DARK = "#000000"

BATCH = 200
"""Rows that are looked at between two checkpoints."""

Sort: TypeAlias = Literal[
    "id", "name", "mode", "plays", "press", "lead", "round", "battery", "errors", "address", "since"
]

Value: TypeAlias = Any
"""A list of texts, or a list of one number; None comes last, whichever way is sorted."""

Key: TypeAlias = tuple[Value, str]


class Wanted(NamedTuple):
    """The devices that are asked for; by default all that are connected, in any order."""

    state: str = "connected"
    tag: str | None = None
    q: str = ""
    errors: bool = False
    """Only those with errors."""

    differ: bool = False
    """Only those that are connected, and whose LEDs are others than they were sent."""

    firmware: str | None = None

    sort: Sort = "id"
    backwards: bool = False
    after: Key | None = None
    limit: int | None = None

    @property
    def includes_connected(self) -> bool:
        """Whether devices that are connected may fit."""
        return self.state != "offline"

    @property
    def includes_away(self) -> bool:
        """Whether devices that are away may fit."""
        return self.state in ("offline", "all")


class Keys(NamedTuple):
    """The first keys, in their order, and how many there would be without a limit."""

    keys: Sequence[Key]
    found: int


class Page(NamedTuple):
    """Rows, how many there would be without a limit, the key of the last row if others follow, and
    the names of the nodes whose devices are missing."""

    rows: Sequence[Row]
    found: int
    last: Key | None
    missing: Sequence[str] = ()


async def page_of(rows: Iterable[Row], wanted: Wanted) -> Page:
    """Return those of `rows` that are wanted, with checkpoints. A device in two states at once, for
    it came or went meanwhile, is listed once."""
    found = await _found(rows, wanted)
    if wanted.limit is None and wanted.after is None and wanted.sort == "id":
        return Page(list(found.values()), len(found), None)
    keys = ordered((key_of(row, wanted.sort) for row in found.values()), wanted)
    cut = keys[: wanted.limit]
    last = cut[-1] if cut and len(cut) < len(keys) else None
    return Page([found[device_id] for _, device_id in cut], len(found), last)


async def keys_of(rows: Iterable[Row], wanted: Wanted) -> Keys:
    """Return the keys of those of `rows` that are wanted, with checkpoints."""
    found = await _found(rows, wanted)
    keys = ordered((key_of(row, wanted.sort) for row in found.values()), wanted)
    return Keys(keys[: wanted.limit], len(found))


async def _found(rows: Iterable[Row], wanted: Wanted) -> dict[str, Row]:
    fits = _fits(wanted)
    found: dict[str, Row] = {}
    for number, row in enumerate(rows, 1):
        if row["id"] not in found and fits(row):
            found[row["id"]] = row
        if number % BATCH == 0:
            await trio.lowlevel.checkpoint()
    return found


def ordered(keys: Iterable[Key], wanted: Wanted) -> list[Key]:
    """Return keys in their order, from the one that follows `wanted.after` on; each once."""
    by_id = sorted({device_id: value for value, device_id in keys}.items())
    some = [(value, device_id) for device_id, value in by_id if value is not None]
    some.sort(key=lambda key: key[0], reverse=wanted.backwards)
    found = [*some, *((None, device_id) for device_id, value in by_id if value is None)]
    return list(following(found, wanted))


def following(keys: Sequence[Key], wanted: Wanted) -> Sequence[Key]:
    """Return those of keys in their order that follow `wanted.after`."""
    if wanted.after is None:
        return keys
    return keys[bisect_left(keys, True, key=_follows(wanted.after, wanted.backwards)) :]


def _follows(after: Key, backwards: bool) -> Callable[[Key], bool]:
    last, last_id = after

    def follows(key: Key) -> bool:
        value, device_id = key
        if value == last:
            return device_id > last_id
        if value is None or last is None:
            return value is None
        return bool(value < last if backwards else value > last)

    return follows


# -- cursors

_TEXT_KEY: msgspec.json.Decoder[Key] = msgspec.json.Decoder(tuple[list[str] | None, str])
_NUMBER_KEY: msgspec.json.Decoder[Key] = msgspec.json.Decoder(tuple[list[float] | None, str])
"""Decoders: a key of another kind cannot be compared with those of the list."""


def cursor_of(key: Key | None, sort: Sort) -> str | None:
    """Return the text that stands for a key: of a list by ids it is the id."""
    if key is None or sort == "id":
        return key and key[1]
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def key_at(cursor: str | None, sort: Sort) -> Key | None:
    """Return the key of a cursor. Raises `ValueError` for one of another list."""
    if cursor is None:
        return None
    if sort == "id":
        return [cursor], cursor
    try:
        data = base64.urlsafe_b64decode(cursor.encode("ascii"))
        key: Key = (_TEXT_KEY if sort in TEXTS else _NUMBER_KEY).decode(data)
    except (ValueError, msgspec.DecodeError):
        raise ValueError("the cursor is none of this list") from None
    return key


# -- order


def key_of(row: Row, sort: Sort) -> Key:
    """Return the key of a row."""
    value = _SORTS[sort](row)
    if value is None:
        return None, row["id"]
    return (natural(value) if isinstance(value, str) and sort != "id" else [value]), row["id"]


def natural(text: str) -> list[str]:
    """Return a text to compare as people put texts in order: without case, numbers by size."""
    parts = re.split(r"(\d+)", text.casefold())
    for at in range(1, len(parts), 2):
        digits = parts[at].lstrip("0")
        parts[at] = f"{len(digits):03}{digits}"
    return parts


_SORTS: dict[Sort, Callable[[Row], Any]] = {
    "id": lambda row: row["id"],
    "name": lambda row: row["name"] or row["id"],
    "mode": lambda row: row["mode"],
    "plays": lambda row: row["playing"] and row["playing"]["clip"],
    "press": lambda row: row["last_press"] and -row["last_press"]["at"],
    "lead": lambda row: row["lead_ms"],
    "round": lambda row: row["round_trip_ms"],
    "battery": lambda row: row["battery"],
    "errors": lambda row: -row["errors"],
    "address": lambda row: row["address"],
    "since": lambda row: -row["since"],
}
TEXTS: tuple[Sort, ...] = ("id", "name", "plays", "address")
"""Orders whose keys are texts; those of the others are numbers."""

assert set(_SORTS) == set(get_args(Sort))


# -- what fits


def _fits(wanted: Wanted) -> Callable[[Row], bool]:
    words = wanted.q.lower().split()

    def fits(row: Row) -> bool:
        if not _is_in_state(row, wanted.state):
            return False
        if wanted.tag is not None and wanted.tag not in row["tags"]:
            return False
        if wanted.errors and not row["errors"]:
            return False
        if wanted.differ and not _differs(row):
            return False
        if wanted.firmware is not None and row.get("firmware") != wanted.firmware:
            return False
        text = _text(row) if words else ""
        return all(word in text for word in words)

    return fits


def _is_in_state(row: Row, state: str) -> bool:
    if state == "all":
        return True
    if state in ("connected", "offline"):
        return bool(row["connected"]) is (state == "connected")
    return bool(row["state"] == state)


def _differs(row: Row) -> bool:
    """Whether the device has confirmed other LEDs than it was sent; LED 0 is its own."""
    sent, confirmed = row["leds"], row["confirmed"]
    if not row["connected"] or confirmed is None:
        return False
    shown = [_DARK if led.endswith("00") else led[:7] for led in sent]
    return any(led != other for led, other in zip(shown[1:], confirmed[1:], strict=True))


def _text(row: Row) -> str:
    """Return the words of a row that can be searched for."""
    clip = row["playing"]["clip"] if row["playing"] else None
    parts = [row["id"], row["name"], row["address"], row["mode_name"], row["state"], clip]
    parts.append(row.get("firmware"))
    return " ".join([*filter(None, parts), *row["tags"]]).lower()
