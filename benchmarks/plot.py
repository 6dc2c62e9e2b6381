"""The plot for the documentation: CPU per packet against devices, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise

from benchmarks.cell import Cell
from benchmarks.report import label

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 180, 48, 52
_LABEL_HEIGHT = 16

_LIGHT = ("#0969da", "#bc4c00", "#8250df", "#1a7f37", "#bf3989", "#6e7781")
_DARK = ("#58a6ff", "#f0883e", "#bc8cff", "#3fb950", "#f778ba", "#8b949e")


def _theme(paper: str, ink: str, faint: str, lines: Sequence[str]) -> str:
    colors = "".join(f".c{index} {{ color: {color} }}\n" for index, color in enumerate(lines))
    return (
        f".paper, .behind {{ fill: {paper} }}\ntext {{ fill: {ink} }}\n"
        f".grid {{ stroke: {faint} }}\n{colors}"
    )


_STYLE = f"""
{_theme("#ffffff", "#1f2328", "#d1d9e0", _LIGHT)}
@media (prefers-color-scheme: dark) {{
{_theme("#0d1117", "#e6edf3", "#30363d", _DARK)}}}
text {{ font: 13px system-ui, sans-serif }}
.title {{ font-weight: 600; font-size: 15px }}
.name {{ fill: currentColor }}
.line {{ fill: none; stroke: currentColor; stroke-width: 2.5; stroke-linejoin: round }}
.tls {{ stroke-dasharray: 6 4 }}
.held {{ fill: currentColor }}
.behind {{ stroke: currentColor; stroke-width: 2 }}
"""

Series = dict[str, list[Cell]]


class _Axes:
    """Both axes are logarithmic."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.devices = sorted({cell.devices for cell in cells})
        costs = [cell.cpu_us_per_packet for cell in cells]
        self.ticks = _ticks(min(costs), max(costs))

    def x(self, devices: float) -> float:
        first, last = self.devices[0], self.devices[-1]
        share = math.log(devices / first) / (math.log(last / first) or 1)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, cost: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        share = math.log(cost / low) / math.log(high / low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def draw(cells: Iterable[Cell]) -> str:
    """The plot of a run: one line a server, broken with TLS, a hollow dot where it fell behind.

    Raises `ValueError` where there is nothing to draw.
    """
    drawn = [cell for cell in cells if cell.cpu_us_per_packet > 0]
    if not drawn:
        raise ValueError("no server was measured")
    series: Series = {}
    for cell in sorted(drawn, key=lambda cell: cell.devices):
        series.setdefault(label(cell.server, cell.workers, cell.tls), []).append(cell)
    axes = _Axes(drawn)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
            ' aria-label="Server CPU per packet against playing devices">',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
            _text(16, 26, "Server CPU per 20 ms packet, microseconds (less is better)", "title"),
            *_grid(axes),
            *_lines(axes, series),
            "</svg>\n",
        ]
    )


def _grid(axes: _Axes) -> Iterator[str]:
    for tick in axes.ticks:
        y = axes.y(tick)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield _text(_LEFT - 10, y + 4, f"{tick:g}", anchor="end")
    for devices in axes.devices:
        yield _text(axes.x(devices), _HEIGHT - 30, f"{devices:,}", anchor="middle")
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    yield _text(middle, _HEIGHT - 10, "playing devices (hollow: fell behind)", anchor="middle")


def _lines(axes: _Axes, series: Series) -> Iterator[str]:
    heights = _apart([axes.y(cells[-1].cpu_us_per_packet) for cells in series.values()])
    colors: dict[tuple[str, int], int] = {}
    for index, (name, cells) in enumerate(series.items()):
        points = [(axes.x(cell.devices), axes.y(cell.cpu_us_per_packet)) for cell in cells]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        color = colors.setdefault((cells[0].server, cells[0].workers), len(colors)) % len(_LIGHT)
        line = "tls line" if cells[0].tls else "line"
        yield f'<g class="c{color}"><path class="{line}" d="M{path}"/>'
        for cell, (x, y) in zip(cells, points, strict=True):
            kind = "behind" if cell.fell_behind else "held"
            yield f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        text = f"{name}  {cells[-1].cpu_us_per_packet:.1f}"
        yield _text(_WIDTH - _RIGHT + 14, heights[index] + 4, text, "name") + "</g>"


def _apart(heights: Sequence[float]) -> list[float]:
    """Move labels down until none covers another."""
    placed = list(heights)
    order = sorted(range(len(placed)), key=placed.__getitem__)
    for above, below in pairwise(order):
        placed[below] = max(placed[below], placed[above] + _LABEL_HEIGHT)
    return placed


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 ... around these values; two at least."""
    every = [step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5)]
    first = max(index for index, tick in enumerate(every) if tick <= low or not index)
    last = min(index for index, tick in enumerate(every) if tick >= high and index > first)
    return every[first : last + 1]


def _text(x: float, y: float, text: str, name: str = "", *, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{name}">{escape(text)}</text>'
    )
