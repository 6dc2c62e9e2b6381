"""The figures of a run as tables for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.cell import Cell, Latencies
from benchmarks.results import Results, holds

REFERENCES = ("grpc-go-bursts", "grpc.aio")
"""The best and the usual of what a user could pick: servers are compared with both."""

_DASH = "-"


def show(results: Results, console: Console) -> None:
    """Print all tables of a run, and what a reader must know to trust them."""
    cells = results.summary()
    console.print(_cost(cells), _arrivals(cells), _times(cells), _storms(cells))
    console.print(*_limits(results), *_remarks(results))


def _cost(cells: Sequence[Cell]) -> Table:
    columns: dict[str, Callable[[Cell], str]] = {
        "CPU a packet, us": lambda cell: number(cell.cpu_us_per_packet, 1),
        **{f"{name} / it": _ratio_to(name, cells) for name in REFERENCES},
        "CPU, % of a core": lambda cell: number(cell.cpu_share * 100, 0),
        "packets/s": lambda cell: number(cell.packets_per_s, 0),
        "late, ppm": lambda cell: ppm(cell.late),
        "p99.9, ms": lambda cell: number(cell.late.get("p99.9_ms", math.nan), 1),
        "worst, ms": lambda cell: number(cell.late.get("worst_ms", math.nan), 1),
    }
    return _table("Cost and late packets (below zero: ahead of the due time)", cells, columns)


def _arrivals(cells: Sequence[Cell]) -> Table:
    columns: dict[str, Callable[[Cell], str]] = {
        "CPU a device, ms": lambda cell: number(cell.arrival_cpu_ms, 2),
        "ready": _pair("arrival", "ready"),
        "KB a device": lambda cell: number(cell.rss_kb_per_device, 0),
        "joined": lambda cell: number(cell.joining.get("joined", math.nan), 0),
        "ready meanwhile": _pair("joining", "ready"),
        "late meanwhile, ppm": lambda cell: ppm(cell.joining),
    }
    title = (
        "Arrivals: CPU, memory, p50 / p99 in ms from connecting to the first LEDs, at a steady\n"
        "pace, and within a second while the others play, with the packets that are late meanwhile"
    )
    return _table(title, cells, columns)


def _times(cells: Sequence[Cell]) -> Table:
    columns = {
        "press to ack": _pair("steady", "ack"),
        "Play to first packet": _pair("steady", "first"),
        "Stop to is_end": _pair("steady", "end"),
        "Mode to LEDs": _pair("steady", "leds"),
    }
    return _table("One device after the other, p50 / p99 in ms", cells, columns)


def _storms(cells: Sequence[Cell]) -> Table:
    columns = {
        "Play: ack": _pair("play_storm", "ack"),
        "first packet": _pair("play_storm", "first"),
        "late, ppm": lambda cell: ppm(cell.play_storm),
        "Stop: ack": _pair("stop_storm", "ack"),
        "is_end": _pair("stop_storm", "end"),
        "Mode: ack": _pair("mode_storm", "ack"),
        "LEDs": _pair("mode_storm", "leds"),
        "late meanwhile, ppm": lambda cell: ppm(cell.mode_storm),
    }
    return _table("Storms: all press within 100 ms, p50 / p99 in ms", cells, columns)


def _pair(phase: str, kind: str) -> Callable[[Cell], str]:
    def text(cell: Cell) -> str:
        figures = getattr(cell, phase)
        p50 = figures.get(f"{kind}_p50_ms", math.nan)
        p99 = figures.get(f"{kind}_p99_ms", math.nan)
        return _DASH if math.isnan(p99) else f"{number(p50, 1)} / {number(p99, 1)}"

    return text


def _table(title: str, cells: Sequence[Cell], columns: dict[str, Callable[[Cell], str]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("server")
    for name in ("devices", *columns):
        table.add_column(name, justify="right")
    table.add_column("outcome")
    for cell in cells:
        figures = (text(cell) for text in columns.values())
        name = label(cell.server, cell.workers, cell.tls)
        table.add_row(name, str(cell.devices), *figures, outcome(cell))
    return table


def label(server: str, workers: int, tls: bool) -> str:
    """Return a server's name in tables and plots."""
    name = server if workers == 1 else f"{server} --workers {workers}"
    return f"{name}, TLS" if tls else name


def outcome(cell: Cell) -> str:
    """In a few words: held, late, or why not."""
    if cell.failed:
        return "failed"
    if cell.fell_behind:
        return "fell behind"
    return "held" if holds(cell) else "late packets"


def number(value: float, digits: int) -> str:
    """A figure, or a dash where nothing was measured."""
    return _DASH if math.isnan(value) else f"{value:,.{digits}f}"


def ppm(figures: Latencies) -> str:
    """Late packets in a million."""
    return number(figures.get("share", math.nan) * 1e6, 0)


def _ratio_to(name: str, cells: Sequence[Cell]) -> Callable[[Cell], str]:
    costs = {(c.devices, c.tls): c.cpu_us_per_packet for c in cells if c.server == name}

    def text(cell: Cell) -> str:
        cost = costs.get((cell.devices, cell.tls), math.nan)
        return number(cost / cell.cpu_us_per_packet, 1) if cell.cpu_us_per_packet else _DASH

    return text


def _limits(results: Results) -> Iterator[RenderableType]:
    if not results.limits:
        return
    table = Table(title="Playing devices with fewer than 1 packet in 10,000 late")
    for name in ("server", "holds", "does not hold"):
        table.add_column(name, justify="left" if name == "server" else "right")
    for limit in results.limits:
        fails = str(limit.fails) if limit.fails else _DASH
        table.add_row(label(limit.server, limit.workers, limit.tls), str(limit.holds), fails)
    yield table


def _remarks(results: Results) -> Iterator[RenderableType]:
    machine = results.machine
    lines = [f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}"]
    lines += sorted({cell.cores for cell in results.cells if cell.cores})
    for cell in results.cells:
        where = f"{label(cell.server, cell.workers, cell.tls)}, {cell.devices} devices: "
        whys = [cell.fell_behind, cell.failed, *cell.warnings]
        lines += [f"! {where}{why}" for why in whys if why]
        lines += [f"! {where}{fault} ({times:,.0f})" for fault, times in cell.faults.items()]
    yield Group(*(Text(line, style="yellow" if line.startswith("!") else "dim") for line in lines))
