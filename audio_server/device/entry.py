"""The inventory's facts about a device, which outlive its connections."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Times are seconds since 1970. `connections`, `takes` and `errors` count from the first time
    that the device was seen; `leds` are those that it last confirmed, as six times `rrggbb`, or
    None if it never confirmed any; `firmware` is the one that it named last."""

    first_seen: float
    last_seen: float
    address: str | None
    connections: int
    takes: int
    errors: int
    mode: int
    leds: str | None
    firmware: str | None = None
