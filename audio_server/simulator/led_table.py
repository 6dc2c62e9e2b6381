"""The LEDs that the documentation promises (docs/protocol.md): the judge's own table.

It shares no code with the server that is judged by it. Every colour is `0xRRGGBBAA`.
"""

from __future__ import annotations

from audio_server.simulator.check_leds import Frame

_DARK = 0x00000000
_POWER = 0xFFFFFFFF
_IDLE, _PLAYING, _ERROR = 0x0060FFFF, 0x00FF40FF, 0xFF2000FF

_SHAPES = 4
"""Square, rhomboid, triangle, circle."""

_COLOURS = (0xFFB000FF, 0x00E0FFFF, 0xFF40C0FF, 0xA0FF00FF, 0x8060FFFF, 0xFFFFFFFF)
"""One for each four modes from mode 1 on; after the last the first again."""


def stock_frame(mode: int, playing: bool) -> Frame:
    """Return the LEDs of a device in `mode`, with the stock colours."""
    return _frame(mode, _PLAYING if playing else _IDLE)


def stock_error_frame(mode: int) -> Frame:
    """Return the LEDs of a device that cannot play the clip of its mode."""
    return _frame(mode, _ERROR)


def _frame(mode: int, status: int) -> Frame:
    shapes = [_DARK] * _SHAPES
    if mode:
        row, shape = divmod(mode - 1, _SHAPES)
        shapes[shape] = _COLOURS[row % len(_COLOURS)]
    return (_POWER, status, *shapes)
