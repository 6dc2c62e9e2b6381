"""A family of metrics: its name, its series, and the count of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One name with a number for each of its series; a histogram has several for each.

    `series` are all possible values of `labels`, known beforehand: so no peer can make the server
    keep more. `bounds` are the upper bounds of a histogram's buckets. A `sparse` family shows only
    series that are not 0.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    series: tuple[Labels, ...] = ((),)
    bounds: tuple[float, ...] = ()
    sparse: bool = False

    @property
    def width(self) -> int:
        """How many numbers a series has: a histogram has its buckets, infinity's too, and a sum."""
        return len(self.bounds) + 2 if self.bounds else 1

    @property
    def size(self) -> int:
        """How many numbers there are in all."""
        return self.width * len(self.series)


class Reading(NamedTuple):
    """A family and its numbers at one time, series by series."""

    family: Family
    numbers: Sequence[float]


def counter(name: str, help: str) -> Family:
    """A number that only grows."""
    return Family(name, "counter", help)


def counters(name: str, help: str, label: str, values: Sequence[str]) -> Family:
    """Numbers that only grow, one for each value of a label."""
    return Family(name, "counter", help, (label,), tuple((value,) for value in values))


def gauge(name: str, help: str) -> Family:
    """A number that goes up and down."""
    return Family(name, "gauge", help)


def histogram(name: str, help: str, bounds: Sequence[float]) -> Family:
    """How often something took how long, in seconds."""
    return Family(name, "histogram", help, bounds=tuple(bounds))
