"""Whatever is done to a device in whatever order: its state follows from the table alone."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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

all_settings = st.builds(
    Rules,
    clips=st.integers(0, 9),
    play_while_playing=st.sampled_from(["restart", "ignore", "queue"]),
    mode_while_playing=st.sampled_from(["keep", "stop", "switch"]),
    stop_goes=st.sampled_from(["home", "keep"]),
)


class Histories(RuleBasedStateMachine):
    """Random histories against the table, written down a second time as the cells read."""

    @initialize(settings=all_settings)
    def begin(self, settings: Rules) -> None:
        self.settings = settings
        self.state = State()
        self.asked: list[int] = []  # what the user asked for and has not heard to its end

    @property
    def has_clip(self) -> bool:
        return self.state.mode < self.settings.clips

    def step(self, step: Step) -> Effect:
        self.state, effect = step
        return effect

    def ask(self) -> None:
        self.asked = [self.state.mode] if self.has_clip else []

    @rule()
    def mode(self) -> None:
        expected = (self.state.mode + 1) % self.settings.modes
        self.step(pressed(self.settings, self.state, Button.MODE))
        assert self.state.mode == expected
        if self.asked and self.settings.mode_while_playing != "keep":
            self.asked = []
            if self.settings.mode_while_playing == "switch":
                self.ask()

    @rule()
    def play(self) -> None:
        before = self.state
        effect = self.step(pressed(self.settings, before, Button.PLAY))
        assert self.state.mode == before.mode
        if before.playing is None or self.settings.play_while_playing == "restart":
            self.ask()
            assert (effect is Effect.START) == self.has_clip
        elif self.settings.play_while_playing == "queue" and self.has_clip:
            self.asked = [*self.asked, before.mode][: QUEUE_MAX + 1]

    @rule()
    def stop(self) -> None:
        mode = 0 if self.settings.stop_goes == "home" else self.state.mode
        assert self.step(pressed(self.settings, self.state, Button.STOP)) is Effect.CUT
        assert self.state == State(mode)
        self.asked = []

    @rule()
    def connect(self) -> None:
        assert self.step(pressed(self.settings, self.state, Button.CONNECT)) is Effect.SHOW
        assert not self.state.error

    @rule(button=st.sampled_from(Button), action=st.sampled_from([Action.HOLD, Action.RELEASE]))
    def other(self, button: Button, action: Action) -> None:
        assert pressed(self.settings, self.state, button, action) == (self.state, Effect.NONE)

    @rule(mode=st.integers(-1, 10))
    def told_to_play(self, mode: int) -> None:
        before = self.state
        effect = self.step(told_to_play(self.settings, before, mode))
        if 0 <= mode < self.settings.clips:
            self.asked = [mode]
            assert (effect, self.state.error) == (Effect.START, False)
        else:
            assert self.state == before
        assert self.state.mode == before.mode

    @rule()
    def told_to_stop(self) -> None:
        before = self.state
        assert self.step(told_to_stop(before)) is Effect.CUT
        assert self.state == State(before.mode)
        self.asked = []

    @rule(end=st.sampled_from([take_failed, take_lost, taken_over]))
    def broken_off(self, end: Any) -> None:
        self.step(end(self.state))
        self.asked = []

    @rule()
    def ended(self) -> None:
        if self.state.playing is not None:
            effect = self.step(take_ended(self.state))
            self.asked = self.asked[1:]
            assert (effect is Effect.START) == bool(self.asked)

    @invariant()
    def only_what_was_asked_for_plays(self) -> None:
        playing = [] if self.state.playing is None else [self.state.playing]
        assert [*playing, *self.state.queue] == self.asked

    @invariant()
    def the_state_is_sound(self) -> None:
        assert 0 <= self.state.mode < self.settings.modes
        assert all(mode < self.settings.clips for mode in self.asked)
        assert len(self.state.queue) <= QUEUE_MAX


TestHistories = Histories.TestCase
