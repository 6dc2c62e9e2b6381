"""What the benchmark tells its load processes, and what they report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.frames import Button
from benchmarks.tally import Seen

# All times are seconds of the monotonic clock, which the processes of a machine share.


@dataclass(frozen=True)
class Connect:
    """Switch these devices on; answered by a `Connected` when all are ready, or at `deadline`.

    With `spread_s` they come evenly over that time, ready or not; without, as fast as the server
    takes them. Those that join never press.
    """

    devices: Sequence[str]
    deadline: float
    spread_s: float | None = None
    joins: bool = False


@dataclass(frozen=True)
class Press:
    """All devices but those that joined press these buttons; not answered.

    Evenly over `spread_s`, from `at` on.
    """

    buttons: tuple[Button, ...]
    at: float
    spread_s: float


@dataclass(frozen=True)
class Probe:
    """One device after the other presses these buttons, `rate` devices a second. Not answered."""

    buttons: tuple[Button, ...]
    at: float
    until: float
    rate: float


@dataclass(frozen=True)
class Measure:
    """Count what is seen from `at` to `until`; answered by a `Report`."""

    at: float
    until: float


@dataclass(frozen=True)
class Quit:
    """Close all connections and end the process."""


Order = Connect | Press | Probe | Measure | Quit


@dataclass(frozen=True)
class Connected:
    """How many devices are ready: all three calls open, the first LEDs drawn."""

    ready: int


@dataclass
class Report:
    """One interval of one load process, or of several added up.

    `cpu_share` is the busiest process's share of its core, `lag_s` how old a reading can be
    (the longest round over ready sockets, as p99 and as worst): the load side's own limits.
    """

    seen: Seen = field(default_factory=Seen)
    playing: int = 0
    waiting: int = 0
    cpu_share: float = 0.0
    lag_p99_s: float = 0.0
    lag_worst_s: float = 0.0

    def __add__(self, other: Report) -> Report:
        return Report(
            self.seen + other.seen,
            self.playing + other.playing,
            self.waiting + other.waiting,
            max(self.cpu_share, other.cpu_share),
            max(self.lag_p99_s, other.lag_p99_s),
            max(self.lag_worst_s, other.lag_worst_s),
        )


Answer = Connected | Report
