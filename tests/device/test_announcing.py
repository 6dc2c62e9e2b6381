"""The table of announcements, in every state."""

from __future__ import annotations

from itertools import product

import pytest
from announcements import Told

from audio_server.device.announcing import (
    WAITING_MAX,
    Hearing,
    Overlay,
    Sound,
    Turn,
    announced,
    announcement_over,
    clips_changed,
    ends_announcements,
    stepped_beneath,
)
from audio_server.device.behaviour import Action, Button, Effect, Rules, State, pressed

LOW, MIDDLE, HIGH = Told("low", priority=1), Told("middle", priority=5), Told("high", priority=9)
NEW = Told("new", priority=5)
IDLE, PLAYING = State(2), State(2, playing=1)
BENEATH = [
    IDLE,
    State(2, error=True),
    PLAYING,
    State(2, playing=1, queue=(3, 4)),
    State(2, playing=1, paused=True),
]
OVERLAYS = [
    Overlay(current, waiting, anew)
    for current, waiting, anew in product(
        (LOW, MIDDLE, HIGH), ((), (LOW,), (HIGH, MIDDLE, LOW)), (False, True)
    )
]
ALL_RULES = [
    Rules(5, play, mode, stop)
    for play, mode, stop in product(
        ("restart", "ignore", "queue"), ("keep", "stop", "switch"), ("home", "keep")
    )
]


def test_the_first_one_holds_what_plays() -> None:
    assert announced(None, NEW) == Turn(Overlay(NEW), Sound.HOLD)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_higher_priority_replaces_and_any_other_waits(overlay: Overlay) -> None:
    turn = announced(overlay, NEW)
    if NEW.priority > overlay.current.priority:
        assert turn == Turn(overlay._replace(current=NEW), Sound.NEXT, overlay.current)
        return
    assert turn.sound is Sound.GO_ON
    assert turn.ended is None
    assert turn.overlay is not None
    assert (turn.overlay.current, turn.overlay.anew) == (overlay.current, overlay.anew)
    waiting = turn.overlay.waiting
    assert [one for one in waiting if one is not NEW] == list(overlay.waiting)
    place = waiting.index(NEW)
    assert all(one.priority >= NEW.priority for one in waiting[:place])
    assert all(one.priority < NEW.priority for one in waiting[place + 1 :])


def test_equals_keep_their_order() -> None:
    second, third = Told("second"), Told("third")
    overlay = announced(announced(Overlay(Told("first")), second).overlay, third).overlay
    assert overlay is not None
    assert overlay.waiting == (second, third)


def test_one_more_than_may_wait_is_refused() -> None:
    full = Overlay(HIGH, (MIDDLE,) * WAITING_MAX)
    assert announced(full, NEW) == Turn(full, refused=True)
    above = Told("above", priority=10)
    assert announced(full, above).overlay == full._replace(current=above)


@pytest.mark.parametrize(("overlay", "beneath"), list(product(OVERLAYS, BENEATH)))
def test_after_its_end_come_those_that_wait_and_then_what_was_held(
    overlay: Overlay, beneath: State
) -> None:
    turn = announcement_over(overlay, beneath)
    if overlay.waiting:
        first, *rest = overlay.waiting
        assert turn == Turn(Overlay(first, tuple(rest), overlay.anew), Sound.NEXT)
        return
    assert turn.overlay is None
    if beneath.playing is None:
        assert turn.sound is Sound.SILENCE
    elif beneath.paused:
        assert turn.sound is (Sound.KEEP if overlay.anew else Sound.SILENCE)
    else:
        assert turn.sound is (Sound.START if overlay.anew else Sound.RESUME)


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("beneath", BENEATH)
def test_a_step_beneath_never_touches_the_announcements(
    overlay: Overlay, effect: Effect, beneath: State
) -> None:
    turn = stepped_beneath(overlay, (beneath, effect))
    assert turn.overlay is not None
    assert turn.overlay[:2] == overlay[:2]
    starts = effect is Effect.START and beneath.playing is not None
    drops = effect is Effect.CUT or beneath.playing is None
    assert turn.sound is (Sound.FORGET if starts or drops else Sound.GO_ON)
    assert turn.overlay.anew is (starts or (not drops and overlay.anew))


@pytest.mark.parametrize("rules", ALL_RULES)
@pytest.mark.parametrize("beneath", BENEATH)
@pytest.mark.parametrize("button", Button)
def test_what_plays_after_a_press_is_what_would_have_played_without_an_announcement(
    rules: Rules, beneath: State, button: Button
) -> None:
    step = pressed(rules, beneath, button)
    turn = stepped_beneath(Overlay(MIDDLE), step)
    assert turn.overlay is not None
    after = announcement_over(turn.overlay, step[0]).sound
    expected = {
        Effect.START: Sound.START,
        Effect.CUT: Sound.SILENCE,
    }.get(step[1], Sound.RESUME if beneath.playing is not None else Sound.SILENCE)
    if step[0].paused:
        expected = Sound.SILENCE
    assert after is expected


@pytest.mark.parametrize(("button", "action"), list(product(Button, Action)))
def test_only_a_press_of_stop_ends_announcements(button: Button, action: Action) -> None:
    expected = (button, action) == (Button.STOP, Action.PRESS)
    assert ends_announcements(button, action) is expected


def test_a_clip_that_is_gone_before_it_began_is_left_out() -> None:
    rules, state = Rules(2), State(1, playing=4, queue=(0,))
    assert clips_changed(Overlay(LOW, (), anew=True), rules, state) == State(1, playing=0)
    assert clips_changed(Overlay(LOW, (), anew=True), rules, State(1, playing=4)) == State(1)
    assert clips_changed(Overlay(LOW), rules, state) == state, "it is held, and goes on"
    kept = State(1, playing=1)
    assert clips_changed(Overlay(LOW, (), anew=True), rules, kept) == kept


def test_all_but_two_hearings_are_final() -> None:
    open_ones = {hearing for hearing in Hearing if not hearing.is_over}
    assert open_ones == {Hearing.WAITING, Hearing.PLAYING}
