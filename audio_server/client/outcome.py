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
    return _named(named, answer)


_HEARINGS = {
    "cut": "was cut",
    "lost": "was lost",
    "stalled": "stalled",
    "failed": "could not be played",
    "not_connected": "no such device is connected",
}


def failure(answer: Document) -> ServerError | None:
    """Return the message about devices and nodes that were not reached."""
    reasons = dict.fromkeys(answer.get("gone", ()), "no such device is connected")
    reasons |= answer.get("failed", {})
    return _named([f"{device_id}: {reason}" for device_id, reason in reasons.items()], answer)


def absence(answer: Document) -> ServerError | None:
    """Return the message about nodes whose devices are not in an answer."""
    missing = answer.get("missing")
    if not missing:
        return None
    return ServerError(
        printable(f"no answer from {', '.join(missing)}: devices there are left out")
    )


def _named(named: list[str], answer: Document) -> ServerError | None:
    """Return a message that names the first ones, and the nodes that are missing."""
    parts = named[:NAMED]
    if (more := len(named) - NAMED) > 0:
        parts.append(f"and {more:,} more")
    if missing := answer.get("missing"):
        parts.append(f"no answer from {', '.join(missing)}")
    return ServerError(printable("; ".join(parts))) if parts else None
