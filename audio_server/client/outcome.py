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


def heard(answer: Document) -> str:
    """How many devices have heard an announcement to its end."""
    count = sum(one["hearing"] == "heard" for one in answer["devices"].values())
    return f"{count:,} device{'' if count == 1 else 's'}"


def unheard(answer: Document) -> ServerError | None:
    """Return the message about devices that have not heard an announcement to its end."""
    named = [
        f"{device_id}: {_HEARINGS.get(one['hearing']) or one['hearing']}"
        + (f" ({one['reason']})" if one.get("reason") else "")
        for device_id, one in answer["devices"].items()
        if one["hearing"] != "heard"
    ]
    if not named:
        return None
    more = len(named) - NAMED
    text = "; ".join(named[:NAMED]) + (f"; and {more:,} more" if more > 0 else "")
    return ServerError(printable(text))


_HEARINGS = {
    "cut": "was cut",
    "lost": "was lost",
    "stalled": "stalled",
    "failed": "could not be played",
    "not_connected": "no such device is connected",
}


def failure(answer: Document) -> ServerError | None:
    """Return the message about devices that were not reached."""
    reasons = dict.fromkeys(answer.get("gone", ()), "no such device is connected")
    reasons |= answer.get("failed", {})
    if not reasons:
        return None
    named = [f"{device_id}: {reason}" for device_id, reason in list(reasons.items())[:NAMED]]
    more = len(reasons) - len(named)
    return ServerError(printable("; ".join(named) + (f"; and {more:,} more" if more else "")))
