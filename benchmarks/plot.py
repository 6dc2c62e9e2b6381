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

_STYLE = """
svg { --ink: #1f2328; --faint: #d1d9e0; --paper: #ffffff; --c0: #0969da; --c1: #bc4c00;
  --c2: #8250df; --c3: #1a7f37; --c4: #bf3989; --c5: #6e7781; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6edf3; --faint: #30363d; --paper: #0d1117;
  --c0: #58a6ff; --c1: #f0883e; --c2: #bc8cff; --c3: #3fb950; --c4: #f778ba; --c5: #8b949e; } }
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.title { font-weight: 600; font-size: 15px; }
.grid { stroke: var(--faint); stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
.behind { fill: var(--paper); stroke-width: 2; }
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
    """The plot of a run: one line a server, a hollow dot where it fell behind.

    Raises `ValueError` where there is nothing to draw.
    """
    drawn = [cell for cell in cells if cell.cpu_us_per_packet > 0]
    if not drawn:
        raise ValueError("no server was measured: nothing to draw")
    series: Series = {}
    for cell in sorted(drawn, key=lambda cell: cell.devices):
        series.setdefault(label(cell.server, cell.workers), []).append(cell)
    axes = _Axes(drawn)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
            ' aria-label="Server CPU per packet against playing devices">',
            f"<style>{_STYLE}</style>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="var(--paper)"/>',
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
    for index, (name, cells) in enumerate(series.items()):
        color = f"var(--c{index % 6})"
        points = [(axes.x(cell.devices), axes.y(cell.cpu_us_per_packet)) for cell in cells]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path class="line" style="stroke:{color}" d="M{path}"/>'
        for cell, (x, y) in zip(cells, points, strict=True):
            paint = f'class="behind" stroke="{color}"' if cell.fell_behind else f'fill="{color}"'
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {paint}/>'
        last = cells[-1].cpu_us_per_packet
        yield _text(_WIDTH - _RIGHT + 14, heights[index] + 4, f"{name}  {last:.1f}", color=color)


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


def _text(
    x: float, y: float, text: str, name: str = "", *, anchor: str = "start", color: str = ""
) -> str:
    style = f' style="fill:{color}"' if color else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{name}"{style}>'
        f"{escape(text)}</text>"
    )
