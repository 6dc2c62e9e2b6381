"""Six LEDs in a row of a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

GLYPHS = (("●", "○"), ("●", "○"), ("■", "□"), ("◆", "◇"), ("▲", "△"), ("●", "○"))
"""Each lit and dark: power, status, square, rhomboid, triangle, circle."""


def lamps(leds: Sequence[str]) -> Text:
    """LEDs as `#rrggbbaa` has them; a screen has no intensity, so the colour is as much darker."""
    text = Text()
    for (lit, dark), led in zip(GLYPHS, leds, strict=False):
        colour = _shade(led)
        text.append(dark if colour == "#000000" else lit, "dim" if colour == "#000000" else colour)
    return text


def _shade(led: str) -> str:
    red, green, blue, alpha = bytes.fromhex(led.removeprefix("#").ljust(8, "f"))
    return "#" + "".join(f"{round(part * alpha / 255):02x}" for part in (red, green, blue))
