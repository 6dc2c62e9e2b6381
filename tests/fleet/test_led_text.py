"""LEDs in words: no change of what a device shows is without words of its own."""

from __future__ import annotations

from itertools import combinations

import pytest

from audio_server.device import leds as of
from audio_server.device.behaviour import State
from audio_server.fleet.led_text import colour_name, led_text

DARK = (0, 0, 0, 0, 0, 0)


def test_every_state_and_mode_has_words_of_its_own() -> None:
    modes = 4 * len(of.MODE_COLOURS) + 1
    states = [State(mode, playing) for mode in range(modes) for playing in (None, 0)]
    texts = [led_text(of.leds(state)) for state in states]
    for (one, text), (other, others) in combinations(zip(states, texts, strict=True), 2):
        assert (text == others) == (of.leds(one) == of.leds(other))


def test_colours_and_shapes_are_named() -> None:
    assert led_text(of.leds(State(5))) == "LEDs lit: power white, status blue, square cyan"


def test_dark_is_dark_whether_by_colour_or_by_intensity() -> None:
    assert led_text(DARK) == "no LED lit"
    assert led_text((0xFF000000, 0x000000FF, 0, 0, 0, 0)) == "no LED lit"
    assert led_text((0, 0, 0, 0, 0, 0xFF000001)) == "LEDs lit: circle red"


@pytest.mark.parametrize(
    ("rgb", "name"),
    [(0x0000FF, "blue"), (0x00FF00, "green"), (0xFF0000, "red"), (0xFFFFFF, "white")],
)
def test_any_colour_has_the_nearest_name(rgb: int, name: str) -> None:
    assert colour_name(rgb) == name
