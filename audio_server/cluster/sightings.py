"""Sightings of a node's devices that the engine does not have yet.

A connect and a disconnect are due at once; all else is added up and due after `SLOW_S`, so that no
press and no packet is ever written. While the engine is away they are kept, up to `PENDING_MAX`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

SLOW_S = 600.0
"""How long takes and errors of a device that stays may wait."""

PENDING_MAX = 50_000
"""Sightings that may wait for an engine that is away."""


class Seen(NamedTuple):
    """News of a device: `connections`, `takes` and `errors` are those since the last news, and it
    was seen at a time of the node's clock (`EngineClock.read`)."""

    device_id: str
    seen_at: float
    is_here: bool
    address: str | None
    connections: int
    takes: int
    errors: int
    mode: int
    leds: str | None
    firmware: str | None
    number: str = ""
    """Stands for news that the engine was told, and may have counted."""

    def after(self, old: Seen | None) -> Seen:
        """Return this news with that before it."""
        if old is None:
            return self
        return self._replace(
            address=self.address or old.address,
            connections=self.connections + old.connections,
            takes=self.takes + old.takes,
            errors=self.errors + old.errors,
            leds=self.leds or old.leds,
            firmware=self.firmware or old.firmware,
        )


@dataclass(slots=True)
class Pending:
    """Sightings by device, each with the time of the loop at which it is due.

    Those that the engine was told without an answer are `doubtful`: they are told again as they
    are, before newer ones, so that the engine knows them and counts them once.
    """

    news: dict[str, Seen] = field(default_factory=dict)
    doubtful: dict[str, Seen] = field(default_factory=dict)
    due_at: dict[str, float] = field(default_factory=dict)

    def add(self, seen: Seen, now: float, *, is_urgent: bool) -> None:
        """Add news to those of the device. Of too many the oldest is dropped."""
        device_id = seen.device_id
        self.news[device_id] = seen.after(self.news.pop(device_id, None))
        due_at = now if is_urgent else now + SLOW_S
        self.due_at[device_id] = min(due_at, self.due_at.get(device_id, due_at))
        while len(self.news) > PENDING_MAX:
            self.drop(next(iter(self.news)))

    def put_back(self, seen: Seen, due_at: float) -> None:
        """Have news that were taken, before those that came since."""
        device_id = seen.device_id
        if seen.number:
            self.doubtful[device_id] = seen
            while len(self.doubtful) > PENDING_MAX:
                self.drop(next(iter(self.doubtful)))
        else:
            newer = self.news.get(device_id)
            self.news[device_id] = seen if newer is None else newer.after(seen)
        self.due_at[device_id] = min(due_at, self.due_at.get(device_id, due_at))

    def of(self, device_id: str) -> Seen | None:
        """Return all news of a device."""
        new, doubtful = self.news.get(device_id), self.doubtful.get(device_id)
        return doubtful if new is None else new.after(doubtful)

    def gone(self) -> Iterator[str]:
        """Yield devices that have left."""
        newest = {**self.doubtful, **self.news}
        return (device_id for device_id, seen in newest.items() if not seen.is_here)

    def drop(self, device_id: str) -> None:
        """Drop the news of a device."""
        for by_id in (self.news, self.doubtful, self.due_at):
            by_id.pop(device_id, None)

    def hurry(self, now: float) -> None:
        """Have all news be due."""
        self.due_at = dict.fromkeys(self.due_at, now)

    def take(self, now: float, most: int) -> Iterator[Seen]:
        """Yield and drop news that are due, so many at most."""
        due = (device_id for device_id, due_at in self.due_at.items() if due_at <= now)
        for device_id in list(islice(due, most)):
            doubtful = self.doubtful.pop(device_id, None)
            if doubtful is None or device_id not in self.news:
                del self.due_at[device_id]
            yield self.news.pop(device_id) if doubtful is None else doubtful
