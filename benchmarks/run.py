"""A whole run: each server in turn, more and more devices, and how many it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from benchmarks.cell import Cell, Course, measure_cell
from benchmarks.fleet import LoadFailed
from benchmarks.machine import Cores, available_cores
from benchmarks.report import label, number, outcome
from benchmarks.results import Limit, Results, holds
from benchmarks.servers import OURS, ServerFailed, Setup
from benchmarks.sound import make_clips

_CELL_S = 60.0
_CLOSE = 1.15
_BRIEF_S = 5.0


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

    def variants(self) -> Iterator[tuple[str, int]]:
        """Every server, ours once for each number of workers."""
        for server in self.servers:
            for workers in self.workers if server == OURS else (1,):
                yield server, workers


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
                for server, workers in self.plan.variants():
                    self._climb(server, workers, folder)
            if self.plan.most_devices:
                for server, workers in self.plan.variants():
                    self._find_limit(server, workers, folder)

    def _climb(self, server: str, workers: int, folder: Path) -> None:
        """More and more devices, until the server falls behind."""
        for devices in sorted(self.plan.devices):
            cell = self._measure(server, workers, devices, folder, self.plan.course)
            self.results.cells.append(cell)
            if cell.fell_behind or cell.failed:
                return

    def _find_limit(self, server: str, workers: int, folder: Path) -> None:
        """Halve the gap between what is held and what is not until it is small."""
        limit = self._known_limit(server, workers)
        course = replace(self.plan.course, seconds=_BRIEF_S, brief=True)
        while limit.holds < self.plan.most_devices:
            if limit.fails and limit.fails < limit.holds * _CLOSE:
                break
            devices = _next_try(limit, self.plan.most_devices)
            if holds(self._measure(server, workers, devices, folder, course)):
                limit.holds = devices
            elif devices <= 1:
                break
            else:
                limit.fails = devices
        self.results.limits.append(limit)

    def _known_limit(self, server: str, workers: int) -> Limit:
        known = [
            cell
            for cell in self.results.summary()
            if cell.server == server and cell.workers == workers
        ]
        fails = min((cell.devices for cell in known if not holds(cell)), default=0)
        held = (cell.devices for cell in known if holds(cell))
        return Limit(
            server, workers, max((n for n in held if not fails or n < fails), default=0), fails
        )

    def _measure(
        self, server: str, workers: int, devices: int, folder: Path, course: Course
    ) -> Cell:
        plan = self.plan
        setup = Setup(folder, devices, plan.lead_ms, workers, plan.args, plan.core_share)
        cores = Cores.plan(available_cores(), workers)
        try:
            cell = measure_cell(server, setup, cores, course)
        except (ServerFailed, LoadFailed) as error:
            cell = Cell(server, devices, workers, str(cores), failed=str(error))
        cost = number(cell.cpu_us_per_packet, 1)
        name = label(server, workers)
        self.console.print(f"{name}, {devices} devices: {cost} us a packet, {outcome(cell)}")
        return cell


def _next_try(limit: Limit, most: int) -> int:
    if not limit.fails:
        return min(most, max(100, 2 * limit.holds))
    return max(1, (limit.holds + limit.fails) // 2)


@contextmanager
def _clips(course: Course) -> Iterator[Path]:
    """A folder of sound that no cell plays to its end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        make_clips(folder, _CELL_S + course.seconds + course.probe_seconds)
        yield folder
