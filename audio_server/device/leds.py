"""Frames of the six LEDs: a pure function of a device's state, and the start-up sequence.

A frame is always full, because a device draws all six from every frame (device contract,
section 2). Every colour is `0xRRGGBBAA`; AA, the intensity, is full or the LED is dark.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from audio_server.device.behaviour import State

Frame: TypeAlias = tuple[int, int, int, int, int, int]
"""LED 0 (power) to LED 5, `0xRRGGBBAA` each."""


class LedFrame(NamedTuple):
    """A frame to be sent. A new serial makes it worth sending though its LEDs are the same."""

    leds: Frame
    serial: int = 0


DARK = 0x00000000
POWER = 0xFFFFFFFF
IDLE = 0x0060FFFF
PLAYING = 0x00FF40FF
PAUSED = 0xFFE000FF
ERROR = 0xFF2000FF
ANNOUNCING = 0xC040FFFF

FULL_BRIGHTNESS = 100
"""In percent."""

SHAPES = 4
"""Square, rhomboid, triangle, circle: as many modes share one colour."""

MODE_COLOURS = (0xFFB000FF, 0x00E0FFFF, 0xFF40C0FF, 0xA0FF00FF, 0x8060FFFF, 0xFFFFFFFF)
"""Of modes 1-4, of modes 5-8, and so on; after the last the first again."""


@lru_cache(maxsize=256)
def leds(state: State) -> Frame:
    """The frame that shows a state: whether it plays, and its mode (none lit: mode 0). Equal
    states have one frame in common: thousands of devices keep theirs."""
    return _frame(_status(state), *_place(state.mode))


def dimmed(frame: Frame, brightness: int) -> Frame:
    """Return a frame at a brightness in percent. Colours are dimmed, for stock devices ignore the
    intensity; a colour that is lit never turns dark, and LED 0 is the device's own."""
    return frame if brightness == FULL_BRIGHTNESS else _all_dimmed(frame, brightness)


@lru_cache(maxsize=1024)
def _all_dimmed(frame: Frame, brightness: int) -> Frame:
    return (frame[0], *(_dimmed(colour, brightness) for colour in frame[1:]))  # type: ignore[return-value]


def _dimmed(colour: int, brightness: int) -> int:
    parts = ((colour >> shift & 0xFF, shift) for shift in (24, 16, 8))
    return colour & 0xFF | sum(
        max(1, part * brightness // FULL_BRIGHTNESS) << shift for part, shift in parts if part
    )


def _status(state: State) -> int:
    if state.announcing:
        return ANNOUNCING
    if state.error:
        return ERROR
    if state.paused:
        return PAUSED
    return IDLE if state.playing is None else PLAYING


def _place(mode: int) -> tuple[int, int]:
    """Which shape is lit for a mode, and its colour."""
    row, shape = divmod(mode - 1, SHAPES)
    return (shape, MODE_COLOURS[row % len(MODE_COLOURS)]) if mode else (0, DARK)


def _frame(status: int, shape: int, colour: int) -> Frame:
    square, rhomboid, triangle, circle = (
        colour if shape == index else DARK for index in range(SHAPES)
    )
    return (POWER, status, square, rhomboid, triangle, circle)


_ALL = MODE_COLOURS[0]

STARTUP: tuple[tuple[float, Frame], ...] = (
    *((0.2, _frame(IDLE, shape, _ALL)) for shape in range(SHAPES)),
    (0.2, (POWER, IDLE, _ALL, _ALL, _ALL, _ALL)),
)
"""The start-up sequence: how many seconds each frame is shown. One second in all."""

_ROUNDING_S = 0.001


def startup_frame(elapsed_s: float) -> tuple[Frame, float] | None:
    """Return the frame that is shown so long after the start of the sequence, and when it ends;
    None after the sequence."""
    until_s = 0.0
    for shown_s, frame in STARTUP:
        until_s += shown_s
        if elapsed_s < until_s - _ROUNDING_S:
            return frame, until_s
    return None
