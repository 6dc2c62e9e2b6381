"""Numbers of events: unique in a cluster, and in the order of time for each device.

A number is made of milliseconds and of the number of a process, so that no process asks another
one. A process of several nodes has one that no other process has had lately.
"""

from __future__ import annotations

from audio_server.fleet.interface import Event

PROCESSES = 8192
"""How many processes can number events at a time. Workers are numbered from 1 in each machine."""

BEGAN_MS = 1_577_836_800_000
"""The year 2020: with it numbers stay below 2**53, which a browser can hold, until 2054."""


class EventNumbers:
    """The numbers of one process or of the workers of one machine, as all nodes see them.

    `first` is added to the numbers of its processes; it may be set before the first event is told.
    """

    def __init__(self) -> None:
        self.first = 0

    def of_all(self, number: int) -> int:
        """Return the number that an event of a process has in the cluster."""
        return number - number % PROCESSES + (number + self.first) % PROCESSES


def next_after(last_ms: int, at: float) -> int:
    """Return the time of an event `at` that many seconds since 1970, after the one at `last_ms`:
    its own, or more."""
    return max(last_ms + 1, int(1000 * at) - BEGAN_MS)


def in_order(event: Event) -> tuple[float, int]:
    """Return the place of an event among those of several processes."""
    return event["at"], event["seq"]
