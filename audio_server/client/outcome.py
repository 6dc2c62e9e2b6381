"""The outcome of an action on devices."""

from __future__ import annotations

import time

from audio_server.client.connection import Document
from audio_server.client.server import ServerError
from audio_server.client.words import Row, mode, plays
from audio_server.process.printable import printable

NAMED = 5
"""How many devices are named before the others are counted."""


def done(answer: Document) -> str:
    """How many devices it is done to."""
    count = answer["done"]
    return f"{count:,} device{'' if count == 1 else 's'}"


def state(row: Row) -> str:
    """Return the present state of a device."""
    return f"{printable(row['id'])}: mode {mode(row)}, {plays(row, time.time())}"


def failure(answer: Document) -> ServerError | None:
    """Return the message about devices that were not reached."""
    reasons = dict.fromkeys(answer.get("gone", ()), "no such device is connected")
    reasons |= answer.get("failed", {})
    if not reasons:
        return None
    named = [f"{device_id}: {reason}" for device_id, reason in list(reasons.items())[:NAMED]]
    more = len(reasons) - len(named)
    return ServerError(printable("; ".join(named) + (f"; and {more:,} more" if more else "")))
