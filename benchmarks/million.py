"""A fleet of a million devices on paper: when all are back after a fault, and an announcement.

`python -m benchmarks.million [--devices 1000000]`

Each device is simulated: the way its calls take, the pauses of gRPC, the pace at which a process
takes arrivals, the line of claims at the engine. The inputs are `Figures`, all of them measured on
real processes (docs/performance.md); networks are taken to be as wide as they need to be.
"""

from __future__ import annotations

import argparse
import heapq
import random
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.tally import quantile_ms


@dataclass(frozen=True)
class Figures:
    """What was measured, in seconds."""

    arrival_cpu_s: float = 0.0018
    """CPU of a node for a device that connects among many: one at a time costs more, and counts
    less."""

    arrivals_a_second: float = 500.0
    arrivals_at_once: int = 50
    """`limits.arrivals`: the pace at which a process accepts, and how many it accepts at once."""

    claim_cpu_s: float = 14e-6
    """CPU of the engine for a claim with the news to the node before."""

    heartbeat_cpu_s: float = 15e-6
    heartbeats_a_second: float = 2.0
    press_cpu_s: float = 10e-6

    announced_at_s: float = 0.0024
    announced_latest_s: float = 0.0069
    """From the order to the nodes of a cluster: the middle one, and the one of a hundred."""

    start_s: float = 82e-6
    """A node's time for the start of an announcement on one device of 2,000 that play."""

    round_trip_s: float = 0.02
    """Between a device and a node, over the Internet: an assumption."""


FIGURES = Figures()

BACKOFF_S, BACKOFF_RATE, BACKOFF_MAX_S, BACKOFF_JITTER = 1.0, 1.6, 120.0, 0.2
"""Pauses of gRPC after attempts that fail (its specification)."""

CONNECT_TIMEOUT_S = 20.0
"""How long gRPC waits for an address that does not answer."""


@dataclass(frozen=True)
class Fleet:
    """Processes on machines in racks, each process with the same number of devices."""

    devices: int = 1_000_000
    devices_a_process: int = 2_500
    processes_a_machine: int = 4
    machines_a_rack: int = 10
    engines: int = 1

    @property
    def processes(self) -> int:
        """How many there are."""
        return -(-self.devices // self.devices_a_process)


@dataclass(frozen=True)
class Fault:
    """What is lost. A device notices after `noticed_s`, or some time in `spread_s` from then."""

    name: str
    lost: range
    noticed_s: float = 0.0
    spread_s: float = 0.0
    is_checked: bool = False
    """Whether the L4 tries another process when one refuses."""

    is_silent: bool = False
    """Whether what is lost answers nothing, until the L4 has noticed, instead of refusing."""


def back_s(fleet: Fleet, fault: Fault, figures: Figures = FIGURES, seed: int = 1) -> array[float]:
    """Return for each device that lost its connection when it is back and granted, in order."""
    chance = random.Random(seed)
    accepted = sorted(_accepted(fleet, fault, figures, chance))
    return _granted(accepted, fleet.engines, figures)


def _accepted(
    fleet: Fleet, fault: Fault, figures: Figures, chance: random.Random
) -> Iterator[float]:
    """Yield the times at which processes have read the devices' calls."""
    living = [one for one in range(fleet.processes) if one not in fault.lost]
    is_everybody = len(fault.lost) == fleet.processes
    if is_everybody:  # the processes live, their connections do not
        living = list(fault.lost)
    lines = {process: _Line(figures) for process in living}
    attempts = [
        (fault.noticed_s + chance.uniform(0, fault.spread_s), number, 0)
        for number in range(min(fleet.devices, len(fault.lost) * fleet.devices_a_process))
    ]
    heapq.heapify(attempts)
    is_lost: Collection[int] = range(0) if is_everybody or fault.is_checked else fault.lost
    while attempts:
        now, device, failures = heapq.heappop(attempts)
        now += figures.round_trip_s * chance.uniform(0.5, 1.5)
        process = chance.randrange(fleet.processes)
        if process in is_lost:
            if fault.is_silent and now < fault.noticed_s:
                now += CONNECT_TIMEOUT_S
            pause_s = min(BACKOFF_S * BACKOFF_RATE**failures, BACKOFF_MAX_S)
            pause_s *= chance.uniform(1 - BACKOFF_JITTER, 1 + BACKOFF_JITTER)
            heapq.heappush(attempts, (now + pause_s, device, failures + 1))
            continue
        line = lines.get(process) or lines[chance.choice(living)]
        yield line.take(now) + figures.round_trip_s


class _Line:
    """The arrivals that wait at a process, which takes them at its pace."""

    def __init__(self, figures: Figures) -> None:
        self._each_s = 1 / figures.arrivals_a_second
        self._burst_s = figures.arrivals_at_once * self._each_s
        self._cpu_s = figures.arrival_cpu_s
        self._paid_until = -self._burst_s
        self._busy_until = 0.0

    def take(self, now: float) -> float:
        """Return when an arrival of now is served."""
        self._paid_until = max(self._paid_until, now - self._burst_s) + self._each_s
        begin = max(now, self._paid_until, self._busy_until)
        self._busy_until = begin + self._cpu_s
        return self._busy_until


def _granted(accepted: Sequence[float], engines: int, figures: Figures) -> array[float]:
    """Return when each claim is granted; devices are shared out by a hash of their ids."""
    free, granted = [0.0] * engines, array("d")
    for number, at in enumerate(accepted):
        engine = number % engines
        free[engine] = max(free[engine], at) + figures.claim_cpu_s
        granted.append(free[engine])
    return array("d", sorted(granted))


def announced_s(fleet: Fleet, figures: Figures = FIGURES, seed: int = 1) -> array[float]:
    """Return for each device when the first packet of an announcement to all is sent."""
    chance, times = random.Random(seed), array("d")
    spread_s = (figures.announced_latest_s - figures.announced_at_s) / 4.6  # exponential: p99
    for process in range(fleet.processes):
        begin = figures.announced_at_s + chance.expovariate(1 / spread_s)
        first = process * fleet.devices_a_process
        count = min(fleet.devices_a_process, fleet.devices - first)
        times.extend(begin + figures.start_s * (number + 1) for number in range(count))
    return array("d", sorted(times))


def engine_share(fleet: Fleet, presses_a_day: float, peak: float, figures: Figures) -> float:
    """Return the share of one core of the engine that heartbeats and presses take at the peak."""
    beats = fleet.processes * figures.heartbeats_a_second * figures.heartbeat_cpu_s
    presses = fleet.devices * presses_a_day / 86_400 * peak * figures.press_cpu_s
    return beats + presses


def faults_of(fleet: Fleet) -> list[Fault]:
    """Return those of the table."""
    machine = range(fleet.processes_a_machine)
    rack = range(fleet.processes_a_machine * fleet.machines_a_rack)
    third, everybody = range(fleet.processes // 3), range(fleet.processes)
    return [
        Fault("one process is killed; L4 without checks", range(1)),
        Fault("one machine is killed; L4 without checks", machine),
        Fault("the same, with an L4 that tries another process", machine, is_checked=True),
        Fault("one machine loses power; the L4 notices after 1 s", machine, 1.0, is_checked=True),
        Fault("the same, after 10 s", machine, 10.0, is_checked=True),
        Fault("a rack is killed; L4 without checks", rack),
        Fault("the same, with an L4 that tries another process", rack, is_checked=True),
        Fault("a third is killed; with an L4 that tries another", third, is_checked=True),
        Fault("everybody comes anew within 5 s", everybody, 0.0, 5.0),
    ]


def table(fleet: Fleet, figures: Figures = FIGURES) -> str:
    """Return the table of docs/performance.md."""
    lines = ["| what happens | devices | p50 | p99 | last |", "|---|---|---|---|---|"]
    runs = [(fault.name, fleet, fault) for fault in faults_of(fleet)]
    name, _, fault = runs[-1]
    runs.append((f"{name}, two engines", replace(fleet, engines=2), fault))
    for name, on, fault in runs:
        lines.append(_line(name, back_s(on, fault, figures)))
    lines.append(_line("announcement to all: first packet sent", announced_s(fleet, figures)))
    share = engine_share(fleet, 10, 20, figures)
    what = "Engine, 10 presses a day and device, 20 times as many at the peak"
    return "\n".join([*lines, "", f"{what}: {share:.1%} of a core."])


def _line(name: str, times: array[float]) -> str:
    cells = (f"{quantile_ms(times, part) / 1000:.2f} s" for part in (0.5, 0.99, 1.0))
    return f"| {name} | {len(times):,} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    print(table(Fleet(parser.parse_args().devices)))


if __name__ == "__main__":
    main()
