"""All cells of one run: what repeats are summed up to, and the file that keeps them."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.cell import Cell
from benchmarks.machine import describe_machine

LATE_LIMIT = 1e-4
"""A server holds so many devices when fewer than one packet in 10,000 is late."""


def now() -> str:
    """The time of a run, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class Limit:
    """The largest number of playing devices that a server holds, and the next that it does not.

    `fails` is 0 where no number was found that is too many.
    """

    server: str
    workers: int
    holds: int
    fails: int
    tls: bool = False


@dataclass
class Results:
    """A run: the machine, the options, every cell as it was measured."""

    options: dict[str, Any]
    cells: list[Cell] = field(default_factory=list)
    limits: list[Limit] = field(default_factory=list)
    machine: dict[str, object] = field(default_factory=describe_machine)
    date: str = field(default_factory=now)

    def write(self, path: Path) -> None:
        """Write all of it as JSON; what was not measured is null."""
        path.write_text(json.dumps(_plain(dataclasses.asdict(self)), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` has written."""
        kept = json.loads(path.read_text())
        return cls(
            kept["options"],
            [Cell(**_with_nan(cell)) for cell in kept["cells"]],
            [Limit(**limit) for limit in kept["limits"]],
            kept["machine"],
            kept["date"],
        )

    def summary(self) -> list[Cell]:
        """One cell for each server, number of workers, transport and devices: the medians."""
        alike: dict[tuple[str, int, bool, int], list[Cell]] = {}
        for cell in self.cells:
            kind = cell.server, cell.workers, cell.tls, cell.devices
            alike.setdefault(kind, []).append(cell)
        return [median_cell(cells) for cells in alike.values()]


def holds(cell: Cell) -> bool:
    """Whether the server held this number of devices."""
    share = cell.late.get("share", math.nan)
    return not (cell.fell_behind or cell.failed) and share < LATE_LIMIT


def median_cell(cells: Sequence[Cell]) -> Cell:
    """Repeats of one cell as one: the median of each figure, and all that went wrong."""
    first = cells[0]
    merged: dict[str, Any] = {}
    for each in dataclasses.fields(Cell):
        values = [getattr(cell, each.name) for cell in cells]
        if isinstance(values[0], float):
            merged[each.name] = _median(values)
        elif isinstance(values[0], dict):
            merged[each.name] = _medians(values)
        elif isinstance(values[0], list):
            merged[each.name] = sorted({text for value in values for text in value})
        else:
            merged[each.name] = getattr(first, each.name)
    for name in ("fell_behind", "failed"):
        merged[name] = next((getattr(cell, name) for cell in cells if getattr(cell, name)), "")
    return Cell(**merged)


def _medians(many: Iterable[dict[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for each in many:
        for name, value in each.items():
            values.setdefault(name, []).append(value)
    return {name: _median(each) for name, each in values.items()}


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else math.nan


def _plain(value: Any) -> Any:
    """NaN is no JSON."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return round(value, 4) if isinstance(value, float) and abs(value) > 1 else value


def _with_nan(value: Any) -> Any:
    """The way back from `_plain`."""
    if isinstance(value, dict):
        return {key: _with_nan(each) for key, each in value.items()}
    return math.nan if value is None else value
