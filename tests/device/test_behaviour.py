"""The state table, row by row, with every setting."""

from __future__ import annotations

from typing import Any

import pytest

from audio_server.device.behaviour import (
    QUEUE_MAX,
    Action,
    Button,
    Effect,
    Rules,
    State,
    Step,
    pressed,
    take_ended,
    take_failed,
    take_lost,
    taken_over,
    told_to_play,
    told_to_stop,
)

FIVE = Rules(clips=5)
PLAYING = State(mode=2, playing=1)
QUEUED = State(mode=2, playing=1, queue=(0, 4))


def press(button: Button, state: State, **settings: Any) -> Step:
    return pressed(Rules(**{"clips": 5} | settings), state, button)


def test_buttons_and_actions_have_the_numbers_of_the_contract() -> None:
    assert [button.value for button in Button] == [0, 1, 2, 3]
    assert [action.value for action in Action] == [0, 1, 2]
    assert Button(1) is Button.MODE
    assert Action(0) is Action.PRESS


@pytest.mark.parametrize(("clips", "modes"), [(0, 5), (1, 5), (5, 5), (6, 6), (40, 40)])
def test_there_are_as_many_modes_as_clips_and_at_least_five(clips: int, modes: int) -> None:
    assert Rules(clips=clips).modes == modes


def test_a_new_device_is_idle_in_mode_0() -> None:
    assert State() == State(mode=0, playing=None, queue=(), error=False)


# -- idle, defaults


@pytest.mark.parametrize(("mode", "following"), [(0, 1), (1, 2), (3, 4), (4, 0)])
def test_mode_selects_the_next_one_and_wraps_round(mode: int, following: int) -> None:
    assert press(Button.MODE, State(mode)) == (State(following), Effect.NONE)


def test_mode_wraps_round_after_the_last_clip() -> None:
    assert press(Button.MODE, State(6), clips=7) == (State(0), Effect.NONE)
    assert press(Button.MODE, State(4), clips=7) == (State(5), Effect.NONE)


@pytest.mark.parametrize("mode", range(5))
def test_play_starts_the_clip_of_the_mode(mode: int) -> None:
    assert press(Button.PLAY, State(mode)) == (State(mode, playing=mode), Effect.START)


def test_stop_goes_home() -> None:
    assert press(Button.STOP, State(3))[0] == State(0)


def test_connect_only_shows_the_leds_again() -> None:
    assert press(Button.CONNECT, State(3)) == (State(3), Effect.SHOW)


# -- playing, defaults


def test_mode_while_playing_only_selects() -> None:
    assert press(Button.MODE, PLAYING) == (State(3, playing=1), Effect.NONE)


def test_play_while_playing_starts_the_clip_of_the_mode() -> None:
    assert press(Button.PLAY, PLAYING) == (State(2, playing=2), Effect.START)
    assert press(Button.PLAY, State(1, playing=1)) == (State(1, playing=1), Effect.START)


def test_stop_while_playing_cuts_and_goes_home() -> None:
    assert press(Button.STOP, PLAYING) == (State(0), Effect.CUT)


def test_connect_while_playing_only_shows_the_leds_again() -> None:
    assert press(Button.CONNECT, PLAYING) == (PLAYING, Effect.SHOW)


# -- settings


def test_play_while_playing_may_be_ignored() -> None:
    assert press(Button.PLAY, PLAYING, play_while_playing="ignore") == (PLAYING, Effect.NONE)
    assert press(Button.PLAY, State(1), play_while_playing="ignore")[1] is Effect.START


def test_play_while_playing_may_queue() -> None:
    first = press(Button.PLAY, PLAYING, play_while_playing="queue")
    assert first == (State(2, playing=1, queue=(2,)), Effect.NONE)
    second = press(Button.PLAY, State(4, 1, queue=(2,)), play_while_playing="queue")
    assert second == (State(4, playing=1, queue=(2, 4)), Effect.NONE)
    assert press(Button.PLAY, State(1), play_while_playing="queue")[1] is Effect.START


def test_the_queue_is_bounded() -> None:
    full = State(2, playing=1, queue=(2,) * QUEUE_MAX)
    assert press(Button.PLAY, full, play_while_playing="queue") == (full, Effect.NONE)


def test_mode_while_playing_may_stop() -> None:
    assert press(Button.MODE, QUEUED, mode_while_playing="stop") == (State(3), Effect.CUT)
    assert press(Button.MODE, State(2), mode_while_playing="stop") == (State(3), Effect.NONE)


def test_mode_while_playing_may_switch() -> None:
    switched = (State(3, playing=3), Effect.START)
    assert press(Button.MODE, QUEUED, mode_while_playing="switch") == switched
    assert press(Button.MODE, State(2), mode_while_playing="switch") == (State(3), Effect.NONE)


def test_switching_to_a_mode_without_a_clip_is_an_error() -> None:
    cut = press(Button.MODE, State(1, playing=1), mode_while_playing="switch", clips=2)
    assert cut == (State(2, error=True), Effect.CUT)


def test_mode_while_playing_keeps_the_queue_by_default() -> None:
    kept = press(Button.MODE, QUEUED, play_while_playing="queue")
    assert kept == (State(3, playing=1, queue=(0, 4)), Effect.NONE)


def test_stop_may_keep_the_mode() -> None:
    assert press(Button.STOP, QUEUED, stop_goes="keep") == (State(2), Effect.CUT)
    assert press(Button.STOP, State(3), stop_goes="keep")[0] == State(3)


# -- errors


def test_play_in_a_mode_without_a_clip_plays_nothing_and_is_an_error() -> None:
    assert press(Button.PLAY, State(3), clips=3)[0] == State(3, error=True)
    assert press(Button.PLAY, State(3, playing=1), clips=3) == (State(3, error=True), Effect.CUT)


def test_a_mode_without_a_clip_is_not_queued() -> None:
    state = State(3, playing=1, queue=(0,))
    step = press(Button.PLAY, state, clips=3, play_while_playing="queue")
    assert step == (State(3, playing=1, queue=(0,), error=True), Effect.NONE)


@pytest.mark.parametrize("button", Button)
def test_every_press_clears_the_error(button: Button) -> None:
    assert not press(button, State(1, error=True))[0].error


# -- HOLD and RELEASE


@pytest.mark.parametrize("state", [State(3), PLAYING, QUEUED, State(1, error=True)])
@pytest.mark.parametrize("button", Button)
@pytest.mark.parametrize("action", [Action.HOLD, Action.RELEASE])
def test_hold_and_release_change_nothing(state: State, button: Button, action: Action) -> None:
    assert pressed(FIVE, state, button, action) == (state, Effect.NONE)


# -- ends


def test_a_take_that_ended_leaves_the_device_idle_in_its_mode() -> None:
    assert take_ended(PLAYING) == (State(2), Effect.NONE)


def test_the_queue_plays_in_order() -> None:
    second, effect = take_ended(QUEUED)
    assert (second, effect) == (State(2, playing=0, queue=(4,)), Effect.START)
    third, effect = take_ended(second)
    assert (third, effect) == (State(2, playing=4), Effect.START)
    assert take_ended(third) == (State(2), Effect.NONE)


def test_a_take_that_failed_is_an_error_and_forgets_the_queue() -> None:
    assert take_failed(QUEUED) == (State(2, error=True), Effect.CUT)


def test_a_take_that_is_lost_forgets_the_queue_and_is_no_error() -> None:
    assert take_lost(QUEUED) == (State(2), Effect.CUT)


def test_losing_the_stream_while_idle_keeps_the_error_to_be_seen() -> None:
    assert take_lost(State(2, error=True))[0] == State(2, error=True)


def test_a_device_that_was_taken_over_is_idle_in_its_mode() -> None:
    assert taken_over(QUEUED) == (State(2), Effect.CUT)
    assert taken_over(State(2, error=True))[0] == State(2)


# -- what an operator wishes


@pytest.mark.parametrize("state", [State(3), PLAYING, QUEUED, State(1, error=True)])
def test_any_clip_plays_at_once_and_the_mode_stays(state: State) -> None:
    for settings in (FIVE, Rules(5, "queue", "switch", "keep"), Rules(5, "ignore")):
        played = (State(state.mode, playing=4), Effect.START)
        assert told_to_play(settings, state, 4) == played


@pytest.mark.parametrize("mode", [-1, 3, 4, 99])
def test_a_wish_for_a_clip_that_is_not_there_changes_nothing(mode: int) -> None:
    for state in (PLAYING, QUEUED, State(1, error=True)):
        assert told_to_play(Rules(clips=3), state, mode) == (state, Effect.NONE)


@pytest.mark.parametrize("state", [State(2), State(2, 1), QUEUED, State(2, error=True)])
def test_an_operators_stop_keeps_the_mode(state: State) -> None:
    assert told_to_stop(state) == (State(2), Effect.CUT)
