"""All that is known of one device, a line each."""

from __future__ import annotations

import time
from collections.abc import Sequence

from audio_server.client.words import (
    NOTHING,
    Row,
    ago,
    milliseconds,
    mode,
    moment,
    percent,
    plays,
    press,
    tags,
)
from audio_server.process.printable import printable


def facts(row: Row, now: float | None = None) -> list[tuple[str, str]]:
    """Return the label and the value of each."""
    now = time.time() if now is None else now
    return [
        ("id", printable(row["id"])),
        ("name", printable(row.get("name") or NOTHING)),
        ("tags", tags(row)),
        ("connected", _connected(row, now)),
        ("first seen", moment(row["first_seen"]) if row.get("first_seen") else NOTHING),
        ("connections", str(row.get("connections", NOTHING))),
        ("takes", str(row.get("takes", NOTHING))),
        ("mode", mode(row)),
        ("state", plays(row, now)),
        ("LEDs sent", _leds(row.get("leds"))),
        ("LEDs confirmed", _leds(row.get("confirmed"))),
        ("last press", press(row, now)),
        ("lead, ms", milliseconds(row.get("lead_ms"))),
        ("round trip, ms", milliseconds(row.get("round_trip_ms"))),
        ("battery", percent(row.get("battery"))),
        ("errors", _errors(row)),
        ("LED corrections", str(row.get("corrections", NOTHING))),
        ("firmware", printable(row.get("firmware") or NOTHING)),
        ("streams", printable(" ".join(row.get("streams") or [NOTHING]))),
    ]


def _connected(row: Row, now: float) -> str:
    if not row.get("connected"):
        last = row.get("last_seen")
        return f"no, last seen {moment(last)} ({ago(now - last)} ago)" if last else "no"
    worker = f", worker {row['worker']}" if row.get("worker") else ""
    worker += f", node {row['node']}" if row.get("node") else ""
    since = f"since {moment(row['since'])} ({ago(now - row['since'])})"
    return printable(f"{since} from {row.get('address')}{worker}")


def _leds(leds: Sequence[str] | None) -> str:
    return printable(" ".join(leds)) if leds else NOTHING


def _errors(row: Row) -> str:
    last = row.get("last_error")
    return printable(f"{row.get('errors', NOTHING)}{f', the last: {last}' if last else ''}")
