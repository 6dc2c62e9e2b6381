"""The part of the oracle that judges LEDs: what may be shown follows from what was pressed.

The oracle keeps its own copy of the state table. It cannot know the mode a device was left in, how
many modes there are, or which of two states a frame was drawn for, so it keeps all that are
possible ("threads") and drops those that a frame contradicts. Frames may be skipped (the newest
wins) but never go back, and once nothing has been pressed for a while the last one must be right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import EventSent
from audio_server.simulator.led_table import MOST_MODES, Frame, LedTable, state_name, visible
from audio_server.simulator.playing import Look, Looks, PlayingLine
from audio_server.simulator.verdict import Case, Rule, ServerRules
from audio_server.wire.leds import LEDS

LEAST_MODES = 5


class _Mode(NamedTuple):
    """A mode, and how many there are once that has been seen."""

    mode: int
    total: int | None = None

    def after(self, button: Button, rules: ServerRules) -> set[_Mode]:
        if button is Button.STOP:
            return {_Mode(0, self.total)} if rules.stop_goes == "home" else {self}
        if button is not Button.MODE:
            return {self}
        following = self.mode + 1
        if self.total is not None:
            return {_Mode(following % self.total, self.total)}
        if following < LEAST_MODES:
            return {_Mode(following)}
        return {_Mode(following), _Mode(0, following)}


_Thread: TypeAlias = tuple[_Mode, int]


class LedCheck:
    """Follows the frames of one device through all its connections."""

    def __init__(
        self,
        case: Case,
        table: LedTable,
        clips: int | None,
        line: PlayingLine,
        erred: Callable[[float], None],
        *,
        others: bool,
    ) -> None:
        self._case = case
        self._table = table
        self._clips = clips
        self._line = line
        self._erred = erred
        self._modes = None if clips is None else max(clips, LEAST_MODES)
        self._others = others
        self._threads: set[_Thread] = {(mode, 0) for mode in self._all()}
        self._presses: list[Button] = []
        self._unacked: Button | None = None
        self._greeted = False
        self._shown: Frame | None = None
        self._shown_s = float("-inf")
        self._frames = 0
        self._online = False
        self._free_until_s = float("-inf")
        self._undisturbed = True
        self._is_theirs = False
        self._quiet_s = float("-inf")
        self._settled_s = float("-inf")
        self._again_s = float("-inf")

    def shows_error(self, at_s: float) -> bool:
        """Whether the error is shown, and may be."""
        is_due = Look.ERROR in self._line.allowed(at_s, self._case.limits.soon_s)
        return is_due and self._shown is not None and self._look_of(self._shown) is Look.ERROR

    def unasked(self) -> None:
        """An operator has something played."""
        self._is_theirs = True

    # What happens

    def connected(self, at_s: float) -> None:
        """The start-up sequence begins: any full frame is right until the state is due."""
        self._shown, self._frames, self._online, self._undisturbed = None, 0, True, True
        self._is_theirs = False
        self._free_until_s = self._quiet_s = at_s + self._case.limits.startup_s
        self._again_s = float("-inf")

    def disconnected(self, *, wanted: bool) -> None:
        """An event without ack may have counted or not; a lost server may have forgotten all."""
        self._online = False
        self.forget_unacked()
        if not wanted:
            self._threads |= {(_Mode(0, mode.total), 0) for mode, _ in self._threads}

    def taken_over(self) -> None:
        """The device is on another connection, where its mode may change."""
        self._online = False
        self._unacked, self._presses = None, []
        self._threads = {(mode, 0) for mode in self._all()}

    def forget_unacked(self) -> None:
        """`EventStream` is gone: its last event may have been applied, or not."""
        if self._unacked is not None:
            before, self._unacked = self._presses[:-1], None
            states = self._states(before) | self._states(self._presses)
            self._threads, self._presses = {(state, 0) for state in states}, []

    def sent(self, at_s: float, event: EventSent) -> None:
        if event.action is not Action.PRESS or event.button is Button.NONE:
            return
        self._presses.append(event.button)
        self._unacked, self._greeted = event.button, self._frames > 0
        if event.button is Button.CONNECT:
            self._again_s = at_s

    def acked(self, at_s: float) -> None:
        """A press ends the start-up sequence, unless it came before there was any."""
        if self._unacked is None:
            return
        self._unacked, self._undisturbed = None, False
        if self._greeted:
            self._free_until_s = min(self._free_until_s, at_s + self._case.limits.soon_s)
        self._quiet_s = max(at_s, min(self._free_until_s, self._quiet_s))

    def shown(self, at_s: float, leds: Frame) -> None:
        missing = [str(number) for number, led in enumerate(leds) if led is None]
        if missing or len(leds) != LEDS:
            self._case.report(
                at_s, Rule.LEDS, f"a set left out LED {', '.join(missing)}: it turns black"
            )
        is_answered = self._is_answered(at_s)
        self._frames += leds != self._shown
        self._shown, self._shown_s = leds, at_s
        if missing or self._is_explained(at_s, leds, is_answered=is_answered):
            return
        self._case.report(
            at_s, Rule.LEDS, f"{self._table.name(leds)} is no state that was asked for"
        )

    def _is_explained(self, at_s: float, leds: Frame, *, is_answered: bool) -> bool:
        """Whether the start-up sequence, a press or an operator's act has led to a full frame."""
        follows, is_free = self._follow(at_s, leds), at_s < self._free_until_s
        if not self._others or is_free:
            return follows or is_free
        if not follows and not (is_answered and self._is_of_others(at_s, leds)):
            return False
        if (look := self._look_of(leds)) in (Look.IDLE, Look.PLAYING):
            self._line.shown(at_s, look)
        return True

    def _is_answered(self, at_s: float) -> bool:
        """Whether what is shown follows from all presses: what else comes may be an operator's."""
        if not self._presses or self._shown is None:
            return True
        playing = self._line.allowed(at_s, self._case.limits.soon_s)
        return any(self._fits(mode, playing, self._shown) for mode in self._states(self._presses))

    def tick(self, at_s: float) -> None:
        """Once nothing has changed for long enough, what is shown must be the state."""
        since_s = max(self._quiet_s, self._line.changed_s(at_s))
        settled = self._unacked is None and at_s > since_s + self._case.limits.soon_s
        if self._online and settled and since_s > self._settled_s:
            self._settled_s = since_s
            self._settle(at_s)

    # What follows

    def _follow(self, at_s: float, leds: Frame) -> bool:
        """Keep the threads on which `leds` is, or was after the last frame, the state.

        While any frame is right only the error says something, as no start-up sequence shows it.
        """
        playing = self._line.allowed(at_s, self._case.limits.soon_s)
        if at_s < self._free_until_s:
            playing &= {Look.ERROR}
        ahead = self._ahead(self._presses)
        kept = {(mode, done) for mode, done in ahead if self._fits(mode, playing, leds)}
        if kept:
            passed = min(done for _, done in kept)
            self._threads = {(mode, done - passed) for mode, done in kept}
            del self._presses[:passed]
            if self._look_of(leds) is Look.ERROR:
                self._erred(at_s)
        return bool(kept)

    def _ahead(self, presses: list[Button]) -> set[_Thread]:
        """Every thread, as it is now and after each of these presses that it has not taken yet."""
        found = set(self._threads)
        for number, button in enumerate(presses):
            found |= {
                (after, number + 1)
                for mode, done in found
                if done == number
                for after in mode.after(button, self._case.rules)
            }
        return found

    def _states(self, presses: list[Button]) -> set[_Mode]:
        """The modes that are possible once all `presses` have been applied."""
        return {mode for mode, done in self._ahead(presses) if done >= len(presses)}

    def _fits(self, mode: _Mode, looks: Looks, leds: Frame) -> bool:
        """Whether a frame is one of these looks of a mode. One that has a clip is in no error."""
        if self._clips is not None and mode.mode < self._clips:
            looks -= {Look.ERROR}
        return any(self._table.shown(mode.mode, look) == visible(leds) for look in looks)

    def _look_of(self, leds: Frame) -> Look | None:
        """What LED 1 shows in a frame; None for a frame of no state."""
        found = (
            look
            for mode, _ in self._threads
            for look in Look
            if self._fits(mode, frozenset({look}), leds)
        )
        return next(found, None)

    def _is_of_others(self, at_s: float, leds: Frame) -> bool:
        """Whether operators may have led to this; then it is where all goes on from."""
        states = {mode for mode in self._all() if self._fits(mode, frozenset(Look), leds)}
        if not states:
            return False
        self._threads, self._presses = {(mode, 0) for mode in states}, []
        self._is_theirs = True
        self._case.note_act(
            at_s, f"{self._table.name(leds)} was shown, which this device did not ask for"
        )
        if self._look_of(leds) is Look.ERROR:
            self._line.erred(at_s)
        else:
            self._line.calmed(at_s)
        return True

    def _all(self) -> set[_Mode]:
        return {_Mode(number, self._modes) for number in range(self._modes or MOST_MODES)}

    def _settle(self, at_s: float) -> None:
        if self._shown is None:
            self._case.report(at_s, Rule.LEDS, "no LED frame came after connecting")
            return
        if self._undisturbed and self._frames < 2 and not self._is_theirs:
            self._undisturbed = False
            self._case.report(at_s, Rule.LEDS, "no start-up sequence was shown")
        if self._shown_s < self._again_s:
            self._case.report(at_s, Rule.LEDS, "LEDs were not sent again after Connect")
        self._settle_state(at_s, self._shown)

    def _settle_state(self, at_s: float, shown: Frame) -> None:
        states = self._states(self._presses)
        playing = self._line.allowed(at_s, 0.0)
        fitting = {mode for mode in states if self._fits(mode, playing, shown)}
        if not fitting:
            due = _name_due(states, playing)
            self._case.report(
                at_s, Rule.LEDS, f"{self._table.name(shown)} is shown, but {due} is due"
            )
        self._threads, self._presses = {(mode, 0) for mode in fitting or states}, []


def _name_due(states: set[_Mode], playing: Looks) -> str:
    if len(states) != 1 or len(playing) != 1:
        return "another"
    return state_name(next(iter(states)).mode, next(iter(playing)))
