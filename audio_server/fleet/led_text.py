"""LEDs in words, for people who do not see them: which are lit, and in which colour."""

from __future__ import annotations

from collections.abc import Sequence

LED_NAMES = ("power", "status", "square", "rhomboid", "triangle", "circle")

# Those that devices show, and what lies between them; `static/colours.js` has the same.
_COLOURS = {
    "white": 0xFFFFFF,
    "grey": 0x808080,
    "red": 0xFF2000,
    "orange": 0xFF7000,
    "amber": 0xFFB000,
    "yellow": 0xFFE000,
    "lime": 0xA0FF00,
    "green": 0x00FF40,
    "cyan": 0x00E0FF,
    "blue": 0x0060FF,
    "violet": 0x8060FF,
    "pink": 0xFF40C0,
}


def led_text(frame: Sequence[int]) -> str:
    """Return the LEDs of a frame (`0xRRGGBBAA` each) that are lit, each with its colour."""
    lit = [
        f"{name} {colour_name(rgba >> 8)}"
        for name, rgba in zip(LED_NAMES, frame, strict=True)
        if _is_lit(rgba)
    ]
    return f"LEDs lit: {', '.join(lit)}" if lit else "no LED lit"


def colour_name(rgb: int) -> str:
    """Return the name of the colour that is nearest to `0xRRGGBB`."""
    return min(_COLOURS, key=lambda name: _distance(_COLOURS[name], rgb))


def _is_lit(rgba: int) -> bool:
    return bool(rgba & 0xFF and rgba >> 8)


def _distance(one: int, other: int) -> int:
    parts = ((one >> shift & 0xFF) - (other >> shift & 0xFF) for shift in (16, 8, 0))
    return sum(part * part for part in parts)
