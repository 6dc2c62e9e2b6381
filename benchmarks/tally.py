"""What the devices of one load process saw, counted cheaply and summed up afterwards."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

PACKET_S = 0.020
_BUCKETS_A_SECOND = 10_000
_BUCKETS_A_PACKET = 200

Lateness = Counter[int]
"""How many packets arrived how late, in buckets of 0.1 ms rounded up: late is 1 and above."""


class Tally:
    """Raw records of one interval: appended to while packets flow, read after it.

    Packets come in runs: those of one take that were read at once. Only the first one's
    lateness is written down, each of the others is 20 ms less late than the one before.
    """

    __slots__ = ("acks", "ends", "faults", "firsts", "leds", "ready", "run_lateness", "run_packets")

    def __init__(self) -> None:
        self.run_lateness = array("d")
        self.run_packets = array("L")
        self.acks = array("d")
        self.firsts = array("d")
        self.ends = array("d")
        self.leds = array("d")
        self.ready = array("d")
        self.faults: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget everything; a new interval begins."""
        for records in (self.acks, self.firsts, self.ends, self.leds, self.ready):
            del records[:]
        del self.run_lateness[:], self.run_packets[:]
        self.faults.clear()


@dataclass
class Seen:
    """What devices saw in one interval, in seconds; adds up over load processes."""

    packets: int = 0
    lateness: Lateness = field(default_factory=Counter)
    acks: list[float] = field(default_factory=list)
    firsts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    leds: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, tally: Tally) -> Seen:
        """Sum up what a load process wrote down."""
        return cls(
            packets=sum(tally.run_packets),
            lateness=spread_runs(tally.run_lateness, tally.run_packets),
            acks=list(tally.acks),
            firsts=list(tally.firsts),
            ends=list(tally.ends),
            leds=list(tally.leds),
            ready=list(tally.ready),
            faults=Counter(tally.faults),
        )

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.packets + other.packets,
            self.lateness + other.lateness,
            self.acks + other.acks,
            self.firsts + other.firsts,
            self.ends + other.ends,
            self.leds + other.leds,
            self.ready + other.ready,
            self.faults + other.faults,
        )


def spread_runs(lateness_s: Iterable[float], packets: Iterable[int]) -> Lateness:
    """Lateness of every packet, from that of the first packet of each run."""
    buckets = (math.ceil(seconds * _BUCKETS_A_SECOND) for seconds in lateness_s)
    spread: Lateness = Counter()
    for (first, size), runs in Counter(zip(buckets, packets, strict=True)).items():
        for index in range(size):
            spread[first - index * _BUCKETS_A_PACKET] += runs
    return spread


def late_share(lateness: Lateness) -> float:
    """Share of packets that arrived after their due time; 0 where there were none."""
    late = sum(packets for bucket, packets in lateness.items() if bucket > 0)
    return late / max(1, lateness.total())


def lateness_ms(lateness: Lateness, quantile: float) -> float:
    """The lateness that `quantile` of all packets do not exceed; NaN where there were none.

    Below zero: how much earlier than due.
    """
    rank = math.ceil(quantile * lateness.total())
    passed = 0
    for bucket in sorted(lateness):
        passed += lateness[bucket]
        if passed >= rank:
            return bucket * 1000 / _BUCKETS_A_SECOND
    return math.nan


def quantile_ms(seconds: Sequence[float], quantile: float) -> float:
    """A quantile by nearest rank, in milliseconds; NaN where there is nothing to rank."""
    if not seconds:
        return math.nan
    rank = math.ceil(quantile * len(seconds))
    return sorted(seconds)[max(0, rank - 1)] * 1000
