"""The LEDs that the documentation promises (docs/protocol.md): the judge's own table.

It shares no code with the server that is judged by it. Every colour is `0xRRGGBBAA`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from audio_server.simulator.playing import Look

Frame: TypeAlias = tuple[int | None, ...]
FrameOf: TypeAlias = Callable[[int, bool], Frame]
"""The LEDs, 0xRRGGBBAA each, of a mode that is playing (True) or idle."""

MOST_MODES = 64
"""More modes than any server is expected to have."""

_DARK = 0x00000000
_POWER = 0xFFFFFFFF
_IDLE, _PLAYING, _ERROR = 0x0060FFFF, 0x00FF40FF, 0xFF2000FF
_ANNOUNCING = 0xC040FFFF

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


class LedTable:
    """The colours that a device shows in each state, by a table of frames."""

    def __init__(self, frame_of: FrameOf) -> None:
        self._frame_of = frame_of

    def shown(self, mode: int, look: Look) -> Frame:
        """Return the colours of a state."""
        if look is Look.ERROR:
            return visible(stock_error_frame(mode))
        return visible(self._frame_of(mode, look is Look.PLAYING))

    def name(self, leds: Frame) -> str:
        """Return the name of the state that a frame shows."""
        for mode in range(MOST_MODES):
            for look in Look:
                if self.shown(mode, look) == visible(leds):
                    return state_name(mode, look)
        return "a frame of no state"


def state_name(mode: int, look: Look) -> str:
    """Return the name of a state in a verdict."""
    return f"mode {mode} {look.value}"


def visible(leds: Frame) -> Frame:
    """Return the colours that a device shows of a frame: LED 0 is its own, and it ignores the
    intensity. An operator's announcement is sound as any other to the judge."""
    status = tuple(_PLAYING if led == _ANNOUNCING else led for led in leds[1:2])
    return tuple(None if led is None else led >> 8 for led in (*status, *leds[2:]))
