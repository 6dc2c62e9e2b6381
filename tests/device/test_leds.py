"""What is lit when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.device.behaviour import State
from audio_server.device.leds import (
    ANNOUNCING,
    DARK,
    ERROR,
    IDLE,
    MODE_COLOURS,
    PAUSED,
    PLAYING,
    POWER,
    STARTUP,
    LedFrame,
    leds,
)

states = st.builds(
    State,
    mode=st.integers(0, 200),
    playing=st.none() | st.integers(0, 9),
    error=st.booleans(),
    announcing=st.just(False),
)


@given(states)
def test_a_frame_is_full_and_its_power_led_never_changes(state: State) -> None:
    frame = leds(state)
    assert len(frame) == 6
    assert frame[0] == POWER
    assert all(colour == DARK or colour & 0xFF == 0xFF for colour in frame)


@given(states)
def test_led_1_tells_idle_playing_and_error(state: State) -> None:
    held = PAUSED if state.paused else IDLE if state.playing is None else PLAYING
    expected = ERROR if state.error else held
    assert leds(state)[1] == expected


@given(states)
def test_an_announcement_shows_on_led_1_over_all_else(state: State) -> None:
    assert leds(state._replace(announcing=True)) == (POWER, ANNOUNCING, *leds(state)[2:])


def test_the_colours_can_be_told_apart() -> None:
    assert len({DARK, IDLE, PLAYING, PAUSED, ERROR, ANNOUNCING}) == 6
    assert len({DARK, *MODE_COLOURS}) == len(MODE_COLOURS) + 1


@pytest.mark.parametrize(
    ("mode", "shape", "row"),
    [(1, 0, 0), (2, 1, 0), (3, 2, 0), (4, 3, 0), (5, 0, 1), (8, 3, 1), (9, 0, 2), (12, 3, 2)],
)
def test_modes_light_one_shape_each_in_a_colour_for_every_four(
    mode: int, shape: int, row: int
) -> None:
    expected = [DARK] * 4
    expected[shape] = MODE_COLOURS[row]
    assert list(leds(State(mode))[2:]) == expected


def test_home_lights_no_shape() -> None:
    assert leds(State(0))[2:] == (DARK,) * 4


def test_colours_begin_again_after_the_last() -> None:
    assert leds(State(1 + 4 * len(MODE_COLOURS))) == leds(State(1))


@given(states, st.lists(st.integers(0, 9)))
def test_the_queue_is_not_shown(state: State, queue: list[int]) -> None:
    assert leds(state._replace(queue=tuple(queue))) == leds(state)


def test_the_startup_sequence_takes_about_a_second_and_a_few_frames() -> None:
    assert sum(shown_s for shown_s, _ in STARTUP) == pytest.approx(1)
    assert 3 <= len(STARTUP) <= 10
    assert len({frame for _, frame in STARTUP}) == len(STARTUP)
    assert all(len(frame) == 6 and frame[0] == POWER for _, frame in STARTUP)


def test_a_new_serial_makes_another_frame() -> None:
    frame = leds(State(1))
    assert LedFrame(frame, 1) == LedFrame(frame, 1)
    assert LedFrame(frame, 1) != LedFrame(frame, 2)
