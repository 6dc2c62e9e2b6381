"""A whole run: each server in turn, more and more devices, and how many it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from audio_server.identity.dev_certs import make_dev_certs
from benchmarks.cell import Cell, Course, measure_cell
from benchmarks.fleet import LoadFailed
from benchmarks.machine import Cores, available_cores
from benchmarks.report import label, number, outcome
from benchmarks.results import Limit, Results, holds
from benchmarks.servers import CERTS, OURS, ServerFailed, Setup
from benchmarks.sound import make_clips

_CLOSE = 1.15
_BRIEF_S = 5.0


class Variant(NamedTuple):
    """A server as it is measured."""

    server: str
    workers: int
    tls: bool


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be measured. `workers` and `args` are for our server alone."""

    servers: Sequence[str]
    devices: Sequence[int]
    workers: Sequence[int]
    course: Course
    lead_ms: int = 300
    repeat: int = 1
    most_devices: int = 0
    core_share: float = 0.0
    args: Sequence[str] = ()
    transports: Sequence[bool] = (False,)

    def variants(self) -> Iterator[Variant]:
        """Every server over each transport, ours once for each number of workers."""
        for server in self.servers:
            for workers in self.workers if server == OURS else (1,):
                for tls in self.transports:
                    yield Variant(server, workers, tls)


class Bench:
    """Runs a plan; `results` grow as it goes, so that an interrupt loses nothing."""

    def __init__(self, plan: Plan, results: Results, console: Console) -> None:
        self.plan = plan
        self.results = results
        self.console = console

    def run(self) -> None:
        """Measure everything, each repeat from the first server to the last."""
        with _clips(self.plan.course) as folder:
            for _ in range(self.plan.repeat):
                for variant in self.plan.variants():
                    self._climb(variant, folder)
            if self.plan.most_devices:
                for variant in self.plan.variants():
                    self._find_limit(variant, folder)

    def _climb(self, variant: Variant, folder: Path) -> None:
        """More and more devices, until the server falls behind."""
        for devices in sorted(self.plan.devices):
            cell = self._measure(variant, devices, folder, self.plan.course)
            self.results.cells.append(cell)
            if cell.fell_behind or cell.failed:
                return

    def _find_limit(self, variant: Variant, folder: Path) -> None:
        """Halve the gap between what is held and what is not until it is small."""
        limit = self._known_limit(variant)
        course = replace(self.plan.course, seconds=_BRIEF_S, brief=True)
        while limit.holds < self.plan.most_devices:
            if limit.fails and limit.fails < limit.holds * _CLOSE:
                break
            devices = _next_try(limit, self.plan.most_devices)
            if holds(self._measure(variant, devices, folder, course)):
                limit.holds = devices
            elif devices <= 1:
                break
            else:
                limit.fails = devices
        self.results.limits.append(limit)

    def _known_limit(self, variant: Variant) -> Limit:
        known = [
            cell
            for cell in self.results.summary()
            if (cell.server, cell.workers, cell.tls) == variant
        ]
        fails = min((cell.devices for cell in known if not holds(cell)), default=0)
        held = (cell.devices for cell in known if holds(cell))
        most = max((n for n in held if not fails or n < fails), default=0)
        return Limit(variant.server, variant.workers, most, fails, variant.tls)

    def _measure(self, variant: Variant, devices: int, folder: Path, course: Course) -> Cell:
        plan, (server, workers, tls) = self.plan, variant
        setup = Setup(folder, devices, plan.lead_ms, workers, plan.args, plan.core_share, tls)
        cores = Cores.plan(available_cores(), workers)
        try:
            cell = measure_cell(server, setup, cores, course)
        except (ServerFailed, LoadFailed) as error:
            cell = Cell(server, devices, workers, tls, str(cores), failed=str(error))
        cost = number(cell.cpu_us_per_packet, 1)
        name = label(server, workers, tls)
        self.console.print(f"{name}, {devices} devices: {cost} us a packet, {outcome(cell)}")
        return cell


def _next_try(limit: Limit, most: int) -> int:
    if not limit.fails:
        return min(most, max(100, 2 * limit.holds))
    return max(1, (limit.holds + limit.fails) // 2)


@contextmanager
def _clips(course: Course) -> Iterator[Path]:
    """A folder of sound that no cell plays to its end, and of certificates."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        make_clips(folder, course.clip_seconds + course.seconds + course.probe_seconds)
        make_dev_certs(folder / CERTS, (), ())
        yield folder
