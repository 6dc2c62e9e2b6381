"""From what a soak measured to its verdict: figures, limits, and a line for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from soak_load import Witnessed

from benchmarks.tally import lateness_ms, quantile_ms

ACK_MS = 50.0
LATE_MS = 20.0
GROWTH = 0.03
"""Of the resident memory, over the second half of a soak, as its slope has it."""

Counts = Mapping[str, int]

STARVED = 0.02


@dataclass
class Soaked:
    """One soak. `rss_kb` is sampled once a second; `foes` is how often each kind came."""

    seconds: float
    devices: int
    witnessed: Witnessed
    foes: Counts
    rss_kb: Sequence[float]
    before: Counts
    after: Counts
    complaints: list[str] = field(default_factory=list)
    """Lines that the server logs only of faults of its own, and how it ended if not well."""
    cpu_s: float = 0.0
    waited_s: float = 0.0
    """How long the server could have run, but others had its core."""

    @property
    def starved(self) -> bool:
        """Whether the machine was too busy for times to mean anything."""
        lag_ms = quantile_ms(self.witnessed.lag_s, 0.99)
        return self.waited_s > STARVED * self.seconds or lag_ms > LATE_MS


@dataclass(frozen=True)
class Line:
    """One line of a verdict."""

    holds: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.holds else 'FAIL'} {self.text}"


def judge(soaked: Soaked, *, timing: bool = True) -> list[Line]:
    """The verdict; without `timing` only what is no matter of the machine's speed."""
    lines = [*_judge_contract(soaked), *_judge_counts(soaked)]
    return [*_judge_times(soaked), _judge_memory(soaked.rss_kb), *lines] if timing else lines


def notes(soaked: Soaked) -> list[str]:
    """What to read a verdict by: how much was done, and what noise the machine made."""
    lag = soaked.witnessed.lag_s
    came = ", ".join(f"{name} {count}" for name, count in sorted(soaked.foes.items()))
    return [
        f"{soaked.devices} devices for {soaked.seconds:.0f} s; foes' connections: {came}",
        f"the server used {soaked.cpu_s / soaked.seconds:.0%} of a core, and waited for one for "
        f"{soaked.waited_s / soaked.seconds:.1%} of the time",
        f"the load's own loop was late: p99 {quantile_ms(lag, 0.99):.1f} ms, "
        f"worst {quantile_ms(lag, 1):.1f} ms; this is in every time above",
    ]


def _judge_times(soaked: Soaked) -> list[Line]:
    seen = soaked.witnessed.seen
    ack, late = quantile_ms(seen.acks, 0.99), lateness_ms(seen.lateness, 0.99)
    worst_ack, worst_late = quantile_ms(seen.acks, 1), lateness_ms(seen.lateness, 1)
    return [
        Line(
            ack < ACK_MS,
            f"p99 ack {ack:.1f} ms (< {ACK_MS:.0f}; worst {worst_ack:.1f}; {len(seen.acks)})",
        ),
        Line(
            late < LATE_MS,
            f"p99 lateness {late:.1f} ms (< {LATE_MS:.0f}; worst {worst_late:.1f}; {seen.packets})",
        ),
    ]


def _judge_memory(rss_kb: Sequence[float]) -> Line:
    half = rss_kb[len(rss_kb) // 2 :]
    slope_kb = slope(half)
    mean_kb = sum(half) / max(1, len(half))
    growth = slope_kb * len(half) / mean_kb if mean_kb else 1.0
    return Line(
        abs(growth) < GROWTH or growth < 0,
        f"RSS {mean_kb / 1024:.1f} MB, slope {slope_kb * 60:+.0f} KB a minute "
        f"({growth:+.1%} in its second half; < {GROWTH:.0%})",
    )


def slope(values: Sequence[float]) -> float:
    """By how much values grow from one to the next, by least squares."""
    if len(values) < 2:
        return 0.0
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    over = sum((x - middle) * (y - mean) for x, y in enumerate(values))
    return over / sum((x - middle) ** 2 for x in range(len(values)))


def _judge_contract(soaked: Soaked) -> list[Line]:
    seen, violations = soaked.witnessed.seen, soaked.witnessed.violations
    told = "; ".join(f"{text} ({times})" for text, times in Counter(violations).most_common(5))
    return [
        Line(
            not violations,
            f"contract violations: {violations.total()} {told}"
            f" ({soaked.witnessed.oracles} devices watched by an oracle)",
        ),
        Line(bool(seen.packets and seen.acks), f"heard {seen.packets} packets"),
        Line(not soaked.complaints, f"server's own faults: {soaked.complaints[:3] or 0}"),
    ]


def _judge_counts(soaked: Soaked) -> list[Line]:
    garbage = soaked.after.get("garbage", 0)
    more = {
        name: f"{soaked.before.get(name, 0)} -> {count}"
        for name, count in soaked.after.items()
        if name != "garbage" and count > soaked.before.get(name, 0)
    }
    tasks, sockets = (soaked.after.get(name) for name in ("tasks", "sockets"))
    return [
        Line(
            not more and tasks is not None,
            f"left behind: {more or 'nothing'} (tasks {tasks}, sockets {sockets})",
        ),
        Line(garbage < 100, f"garbage that only a full collection frees: {garbage} objects"),
    ]
