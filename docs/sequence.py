"""Draws what two sides say to each other, as SVG: a lifeline each, and an arrow for a message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, MARGIN, TOP = 720, 90, 56
STEP, BAND = 34, 46
INK, LINE, PAPER, SHADE = "#1f2933", "#9aa5b1", "#ffffff", "#eef2f6"
SVG = "http://www.w3.org/2000/svg"
FONT = "font-family='system-ui, sans-serif' font-size='14'"


@dataclass(frozen=True)
class Message:
    """An arrow, on one of the streams; `back`: from the right to the left."""

    stream: str
    text: str
    back: bool = False


@dataclass(frozen=True)
class Band:
    """Where something else begins."""

    text: str


def draw(
    sides: tuple[str, str], colours: dict[str, str], steps: Sequence[Message | Band], title: str
) -> str:
    """The whole picture; `colours` are those of the streams, which come before a text."""
    height = TOP + sum(BAND if isinstance(step, Band) else STEP for step in steps) + 24
    parts = [
        f"<svg xmlns='{SVG}' viewBox='0 0 {WIDTH} {height}' role='img' {FONT}>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{WIDTH}' height='{height}' rx='8' fill='{PAPER}'/>",
        *_lifelines(sides, height),
        *_steps(steps, colours),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _lifelines(sides: tuple[str, str], height: int) -> Iterator[str]:
    for x, name in zip((MARGIN, WIDTH - MARGIN), sides, strict=True):
        yield f"<path d='M{x} 44V{height - 12}' stroke='{LINE}' stroke-dasharray='4 4'/>"
        yield f"<rect x='{x - 60}' y='14' width='120' height='30' rx='6' fill='{INK}'/>"
        yield f"<text x='{x}' y='34' text-anchor='middle' fill='{PAPER}'>{escape(name)}</text>"


def _steps(steps: Sequence[Message | Band], colours: dict[str, str]) -> Iterator[str]:
    y = TOP
    for step in steps:
        y += BAND if isinstance(step, Band) else STEP
        yield from _band(step, y) if isinstance(step, Band) else _arrow(step, y, colours)


def _band(band: Band, y: int) -> Iterator[str]:
    yield f"<rect x='16' y='{y - 24}' width='{WIDTH - 32}' height='26' rx='6' fill='{SHADE}'/>"
    yield f"<text x='28' y='{y - 6}' font-weight='600' fill='{INK}'>{escape(band.text)}</text>"


def _arrow(message: Message, y: int, colours: dict[str, str]) -> Iterator[str]:
    ends = (MARGIN + 4, WIDTH - MARGIN - 4)
    start, end = reversed(ends) if message.back else ends
    colour, barb = colours[message.stream], 8 if message.back else -8
    label = f"<tspan fill='{colour}' font-weight='600'>{message.stream}</tspan>"
    yield f"<path d='M{start} {y}H{end}' stroke='{colour}' stroke-width='1.5'/>"
    yield f"<path d='M{end} {y}l{barb} -4v8z' fill='{colour}'/>"
    where = f"x='{WIDTH // 2}' y='{y - 6}' text-anchor='middle' fill='{INK}'"
    yield f"<text {where}>{label}  {escape(message.text)}</text>"
