"""The part of all devices that a request asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import trio
from msgspec import UNSET

from audio_server.fleet.interface import Row
from audio_server.web.api.models import Listing

BATCH = 200
"""Rows that are looked at between two checkpoints."""

_ALL = ("connected", "offline", "all")


class Page(NamedTuple):
    """Rows, how many there would be without a limit, and the cursor of the rows that follow."""

    rows: Sequence[Row]
    found: int
    next: str | None


async def listed(rows: Sequence[Row], query: Listing) -> Page:
    """Return those of `rows` that a query asks for, with checkpoints. A device in two states at
    once, for it came or went meanwhile, is listed once."""
    fits = _fits(query)
    found: dict[str, Row] = {}
    for number, row in enumerate(rows, 1):
        if row["id"] not in found and fits(row):
            found[row["id"]] = row
        if number % BATCH == 0:
            await trio.lowlevel.checkpoint()
    limit = None if query.limit is UNSET else query.limit
    if limit is None and query.cursor is None:
        return Page(list(found.values()), len(found), None)
    left = (device_id for device_id in sorted(found) if device_id > (query.cursor or ""))
    ids = list(islice(left, limit))
    following = ids[-1] if ids and next(left, None) is not None else None
    return Page([found[device_id] for device_id in ids], len(found), following)


def _fits(query: Listing) -> Callable[[Row], bool]:
    words = (query.q or "").lower().split()

    def fits(row: Row) -> bool:
        if query.state not in _ALL and row["state"] != query.state:
            return False
        if query.tag is not None and query.tag not in row["tags"]:
            return False
        if query.errors and not row["errors"]:
            return False
        if query.leds is not UNSET and not (row["connected"] and _differ(row)):
            return False
        if query.firmware is not UNSET and query.firmware != row["firmware"]:
            return False
        text = _text(row) if words else ""
        return all(word in text for word in words)

    return fits


def _differ(row: Row) -> bool:
    """Whether a device confirmed other LEDs than it was sent; LED 0 is its own."""
    if row["confirmed"] is None:
        return False
    pairs = zip(row["leds"][1:], row["confirmed"][1:], strict=True)
    return any(sent[:7] != shown for sent, shown in pairs)


def _text(row: Row) -> str:
    """Return the words of a row that can be searched for."""
    clip = row["playing"]["clip"] if row["playing"] else None
    parts = [row["id"], row["name"], row["address"], row["mode_name"], row["state"], clip]
    parts.append(row["firmware"])
    return " ".join([*filter(None, parts), *row["tags"]]).lower()
