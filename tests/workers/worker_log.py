"""A log that can be waited for."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import trio

Line = MutableMapping[str, Any]


class Log:
    """The lines of a log, as they come."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._more = trio.Event()

    def add(self, line: Line) -> None:
        """One more line."""
        self.lines.append(line)
        self._more.set()
        self._more = trio.Event()

    def find(self, event: str) -> list[Line]:
        """The lines about `event` so far."""
        return [line for line in self.lines if line.get("event") == event]

    async def wait(self, event: str, times: int = 1) -> Line:
        """The line that says `event` for so many times."""
        with trio.move_on_after(60):
            while len(self.find(event)) < times:
                await self._more.wait()
        found = self.find(event)
        assert len(found) >= times, f"no {event!r} ({times}) in {self.lines}"
        return found[times - 1]
