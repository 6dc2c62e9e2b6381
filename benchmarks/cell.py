"""One cell of the table: one server, one number of devices, from the start to the end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import sub

from benchmarks import proc
from benchmarks.fleet import Fleet, fleet
from benchmarks.frames import Button
from benchmarks.machine import Cores
from benchmarks.orders import Press, Probe, Report
from benchmarks.quota import limited
from benchmarks.servers import Running, Setup, running
from benchmarks.tally import PACKET_S, late_share, lateness_ms, quantile_ms

_STORM_S = 0.1
_JOIN_S = 1.0
_ARRIVALS_A_SECOND = 100.0
_SOON_S = 0.2
_CONNECT_S = 15.0
_SLOWEST_CONNECTS_A_SECOND = 50
_STARTS_A_SECOND = 1000
_PROBES_A_SECOND = 100.0
_HELD_SHARE = 0.99
_BUSY_SHARE = 0.85
_LAG_S = 0.010
_WAITED_SHARE = 0.02

Latencies = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Course:
    """How long each phase of a cell lasts.

    `settle_seconds` is for new devices to become idle, `idle_seconds` for the cost of idle ones,
    `storm_seconds` for a storm's answers. `warm` devices come first, so that no server is measured
    while it loads its code; then `arriving` come at a steady pace, and then all others.
    `clip_seconds` is longer than all of them, but for the steady interval and the probes. With
    `brief` there is no more than CPU and late packets.
    """

    seconds: float = 10.0
    probe_seconds: float = 5.0
    settle_seconds: float = 1.5
    idle_seconds: float = 1.0
    storm_seconds: float = 3.0
    clip_seconds: float = 60.0
    warm: int = 50
    arriving: int = 200
    joining: int = 500
    brief: bool = False


@dataclass
class Cell:
    """All figures of one cell; times in ms, memory in KB, NaN where nothing was measured."""

    server: str
    devices: int
    workers: int = 1
    tls: bool = False
    cores: str = ""
    fell_behind: str = ""
    failed: str = ""
    rss_kb_per_device: float = math.nan
    arrival_cpu_ms: float = math.nan
    cpu_us_per_packet: float = math.nan
    cpu_share: float = math.nan
    waited_share: float = math.nan
    packets_per_s: float = math.nan
    arrival: Latencies = field(default_factory=dict)
    late: Latencies = field(default_factory=dict)
    steady: Latencies = field(default_factory=dict)
    play_storm: Latencies = field(default_factory=dict)
    stop_storm: Latencies = field(default_factory=dict)
    mode_storm: Latencies = field(default_factory=dict)
    joining: Latencies = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    load: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def measure_cell(server: str, setup: Setup, cores: Cores, course: Course) -> Cell:
    """Start the server and the devices, measure, and end both.

    A server that cannot hold so many devices gives a cell that says so, not an error. Raises
    `ServerFailed` where it does not even start and `LoadFailed` where the load side is gone.
    """
    cell = Cell(server, setup.devices, setup.workers, setup.tls, str(cores))
    with (
        running(server, setup, cores.server) as process,
        limited(proc.tree(process.pid), setup.core_share),
        fleet(process.address, cores, tls=setup.tls) as devices,
    ):
        _Visit(cell, process, devices, course, setup.lead_ms / 1000).run()
    return cell


class _Visit:
    """The phases of a cell, in order."""

    def __init__(
        self, cell: Cell, server: Running, devices: Fleet, course: Course, lead_s: float
    ) -> None:
        self.cell = cell
        self.server = server
        self.devices = devices
        self.course = course
        self.lead_s = lead_s
        self.ready = 0

    def run(self) -> None:
        if not self._connect():
            return
        self._start()
        self._steady()
        if self.course.brief or self.cell.fell_behind:
            return
        self._probe()
        if self.course.joining:
            self._join()
        self._mode_storm()
        self._stop_storm()
        self._play_storm()

    def _connect(self) -> bool:
        """Switch all devices on, idle; memory is looked at before and after."""
        cell = self.cell
        before = proc.rss_kb(self.server.pid)
        within_s = _CONNECT_S + cell.devices / _SLOWEST_CONNECTS_A_SECOND
        self._connect_some(min(self.course.warm, cell.devices), within_s)
        arriving = 0 if self.course.brief else self.course.arriving
        if arriving := min(arriving, cell.devices - self.ready):
            self._arrive(arriving)
        self._connect_some(cell.devices - self.ready, within_s)
        cell.rss_kb_per_device = (proc.rss_kb(self.server.pid) - before) / max(1, self.ready)
        if self.ready < cell.devices:
            cell.fell_behind = f"{self.ready} of {cell.devices} devices were served at all"
            self._note(self._watch(0.1))
        return self.ready == cell.devices

    def _connect_some(self, devices: int, within_s: float) -> None:
        """More devices come as fast as the server takes them."""
        if devices:
            self.devices.connect(devices, within_s)
            self.ready = self.devices.connected(within_s)
            time.sleep(self.course.settle_seconds)

    def _arrive(self, devices: int) -> None:
        """More devices come at a steady pace; the cost of idle ones is measured on both sides."""
        over_s = devices / _ARRIVALS_A_SECOND
        idle_before = self._idle()
        at = time.monotonic()
        until = at + over_s + self.course.settle_seconds
        self.devices.measure(at, until)
        before = _used(self.server.pid)
        self.devices.connect(devices, over_s + _CONNECT_S, spread_s=over_s)
        time.sleep(max(0.0, until - time.monotonic()))
        cpu_s, _, wall_s = map(sub, _used(self.server.pid), before)
        report = self.devices.report(until)
        warm, self.ready = self.ready, self.devices.connected(over_s + _CONNECT_S)
        idle_s = wall_s * (idle_before + self._idle()) / 2
        self.cell.arrival_cpu_ms = (cpu_s - idle_s) * 1000 / devices
        self.cell.arrival = {**_quantiles("ready", report.seen.ready), "arrived": self.ready - warm}
        self._note(report)

    def _idle(self) -> float:
        """The share of a core that the server takes while nothing happens."""
        before = _used(self.server.pid)
        time.sleep(self.course.idle_seconds)
        cpu_s, _, wall_s = map(sub, _used(self.server.pid), before)
        return cpu_s / wall_s

    def _start(self) -> None:
        """All press Play, one after the other, at a pace that is no storm."""
        at, over_s = time.monotonic() + _SOON_S, self.cell.devices / _STARTS_A_SECOND
        self.devices.press(Press((Button.PLAY,), at, over_s))
        report = self._watch(over_s + self.course.settle_seconds, at)
        if report.playing < self.cell.devices:
            self.cell.fell_behind = f"{report.playing} of {self.cell.devices} play"

    def _steady(self) -> None:
        """All play, nobody presses: CPU and late packets."""
        cell, at = self.cell, time.monotonic() + _SOON_S
        until = at + self.course.seconds
        self.devices.measure(at, until)
        time.sleep(max(0.0, at - time.monotonic()))
        before = _used(self.server.pid)
        time.sleep(max(0.0, until - time.monotonic()))
        cpu_s, waited_s, wall_s = map(sub, _used(self.server.pid), before)
        report = self.devices.report(until)
        packets = report.seen.packets
        cell.cpu_us_per_packet = cpu_s * 1e6 / packets if packets else math.nan
        cell.cpu_share, cell.packets_per_s = cpu_s / wall_s, packets / self.course.seconds
        cell.late, cell.waited_share = _late(report), waited_s / wall_s
        self._note(report)
        self._judge(report)
        wanted = cell.devices * (self.course.seconds - self.lead_s) / PACKET_S
        if not cell.fell_behind and packets < _HELD_SHARE * wanted:
            cell.fell_behind = f"only {cell.packets_per_s:,.0f} packets came in a second"

    def _probe(self) -> None:
        """All play; one after the other presses Mode, Stop, Play."""
        at = time.monotonic() + _SOON_S
        until = at + self.course.probe_seconds
        buttons = (Button.MODE, Button.STOP, Button.PLAY)
        rate = min(_PROBES_A_SECOND, 2.0 * self.cell.devices)
        self.devices.probe(Probe(buttons, at, until, rate))
        self.cell.steady = _latencies(
            self._watch(self.course.probe_seconds + self.course.storm_seconds / 2, at)
        )

    def _join(self) -> None:
        """All play; more devices come within a second."""
        at = time.monotonic() + _SOON_S
        until = at + _JOIN_S + self.course.storm_seconds / 2
        self.devices.measure(at, until)
        time.sleep(max(0.0, at - time.monotonic()))
        self.devices.connect(self.course.joining, _CONNECT_S, spread_s=_JOIN_S, joins=True)
        ready = self.devices.connected(_CONNECT_S)
        report = self.devices.report(until)
        self._note(report)
        self.cell.joining = {
            **_late(report),
            **_quantiles("ready", report.seen.ready),
            "joined": ready - self.cell.devices,
        }

    def _mode_storm(self) -> None:
        """All press Mode at once, and go on playing."""
        self.cell.mode_storm = self._storm(Button.MODE)

    def _stop_storm(self) -> None:
        self.cell.stop_storm = self._storm(Button.STOP)

    def _play_storm(self) -> None:
        self.cell.play_storm = self._storm(Button.PLAY)

    def _storm(self, button: Button) -> Latencies:
        """All press a button at once; packets that come late after that count too."""
        at = time.monotonic() + _SOON_S
        self.devices.press(Press((button,), at, _STORM_S))
        report = self._watch(self.course.storm_seconds, at)
        return {**_latencies(report), **_late(report)}

    def _watch(self, seconds: float, at: float | None = None) -> Report:
        at = time.monotonic() if at is None else at
        self.devices.measure(at, at + seconds)
        report = self.devices.report(at + seconds)
        self._note(report)
        return report

    def _note(self, report: Report) -> None:
        """Keep what went wrong."""
        faults = self.cell.faults
        for fault, times in report.seen.faults.items():
            faults[fault] = faults.get(fault, 0) + times

    def _judge(self, report: Report) -> None:
        """Keep how busy the load side was, and which figures are not the server's own."""
        cell = self.cell
        cell.load = {
            "cpu_share": report.cpu_share,
            "lag_p99_ms": report.lag_p99_s * 1000,
            "lag_worst_ms": report.lag_worst_s * 1000,
        }
        cell.warnings += doubts(report, cell.waited_share)


def doubts(report: Report, waited_share: float) -> Iterator[str]:
    """Why a figure may not be the server's own: a slow load side, a busy machine.

    `waited_share` is for how much of the time the server waited for a core that others had.
    """
    if report.cpu_share > _BUSY_SHARE or report.lag_p99_s > _LAG_S:
        yield "the load side was the bottleneck: do not trust this cell"
    if waited_share > _WAITED_SHARE:
        yield f"others had the server's core for {waited_share:.1%}"


def _used(pid: int) -> tuple[float, float, float]:
    """CPU time, time waited for a core, and the time itself."""
    return proc.cpu_s(pid), proc.waited_s(pid), time.monotonic()


def _latencies(report: Report) -> Latencies:
    seen = report.seen
    return {
        "unanswered": report.waiting,
        **_quantiles("ack", seen.acks),
        **_quantiles("first", seen.firsts),
        **_quantiles("end", seen.ends),
        **_quantiles("leds", seen.leds),
    }


def _quantiles(name: str, seconds: Sequence[float]) -> Latencies:
    figures: Latencies = {f"{name}_count": len(seconds)}
    for quantile in (50, 99, 100):
        figures[f"{name}_p{quantile}_ms"] = quantile_ms(seconds, quantile / 100)
    return figures


def _late(report: Report) -> Latencies:
    lateness = report.seen.lateness
    return {
        "share": late_share(lateness),
        "p99.9_ms": lateness_ms(lateness, 0.999),
        "worst_ms": lateness_ms(lateness, 1.0),
    }
