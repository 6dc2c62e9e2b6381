"""The contract oracle: told what happened to a device, it says what the server did wrong.

Pure: no tasks, no I/O, no clock of its own. It is fed with everything that happens, in order, and
asked to `tick` in between, so that what is missing is noticed too. It judges by the settings that
it is told; `judge.Judge` finds out those that are not known.
"""

from __future__ import annotations

from collections.abc import Sequence

from audio_server.simulator import events
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.check_acks import AckCheck
from audio_server.simulator.check_leds import LedCheck
from audio_server.simulator.check_sound import SoundCheck
from audio_server.simulator.led_table import FrameOf, LedTable, stock_frame
from audio_server.simulator.playing import Effect, PlayingLine
from audio_server.simulator.verdict import Case, Limits, Note, Rule, ServerRules, Violation

TAKEN_OVER = "ABORTED"
"""How a call ends that a newer one of the same device has taken over."""

_ON_CALLS = (events.EventSent, events.EventAcked, events.LedsSet)
"""Events of calls: after a take-over they come from calls that have ended."""


class Oracle:
    """Judges what one device sees of a server, over any number of connections.

    `modes` is how many clips the server has; None: unknown, and there are at least five modes.
    `frame_of` maps a state to its LEDs, `rules` are the server's settings. With `others` operators
    and other devices of the same id may act as well, which it cannot see: a take or a state that
    nothing here asked for is theirs then, and so is a take-over; `notes` tells of them.
    `violations` grows as rules are broken.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        modes: int | None = None,
        frame_of: FrameOf = stock_frame,
        rules: ServerRules = ServerRules(),  # noqa: B008 - it never changes
        others: bool = False,
    ) -> None:
        self.case = case = Case(limits, rules)
        self.violations: Sequence[Violation] = case.violations
        self.notes: Sequence[Note] = case.notes
        self._others = others
        self._line = PlayingLine(case)
        self._sound = SoundCheck(case, self._unasked, self._is_in_error)
        self._acks = AckCheck(case)
        self._leds = LedCheck(
            case, LedTable(frame_of), modes, self._line, self._erred, others=others
        )
        self._sent: events.EventSent | None = None
        self._effect = Effect.NONE
        self._taken_over_s: float | None = None
        self._left_open: set[events.Call] = set()

    def _unasked(self, at_s: float, resumes: bool) -> None:
        if not self._others or resumes:
            text = "a take started although nobody pressed Play"
            self.case.report(at_s, Rule.UNASKED, text)
            return
        self._line.unasked()
        self._leds.unasked()
        self.case.note_act(at_s, "a take started that this device did not ask for")

    def _is_in_error(self, at_s: float) -> bool:
        """Whether the error is shown as it may be. It goes on without a frame where a press in a
        mode without a clip is followed by another one."""
        return self._leds.shows_error(at_s)

    def _erred(self, at_s: float) -> None:
        """The error is shown, as it is where the clip is missing or cannot be read."""
        if not self._line.is_error:
            self.case.note(at_s, "the error was shown: a mode has no clip, or a bad one")
        self._line.erred(at_s)
        self._sound.erred(at_s, goes_on=self.case.rules.play_while_playing == "queue")

    def can_play(self, at_s: float) -> bool:
        """Whether the server may take the device for one that plays."""
        return self._line.can_play(at_s)

    def tick(self, at_s: float) -> None:
        """Notice what is due by `at_s` and has not come."""
        self._sound.tick(at_s)
        self._acks.tick(at_s)
        self._leds.tick(at_s)
        self._check_left_open(at_s)

    def feed(self, at_s: float, event: events.Event) -> None:  # noqa: C901 - a table of events
        """Take one event; `at_s` never goes back. Has the shape of an `Observer`."""
        self.tick(at_s)
        if self._taken_over_s is not None and isinstance(event, _ON_CALLS):
            return
        match event:
            case events.Connected():
                self._connected(at_s)
            case events.Disconnected(reason):
                self._disconnected(at_s, reason)
            case events.CallLost(call, reason):
                self._lost(at_s, call, reason)
            case events.CallReopened(call):
                self._reopened(at_s, call)
            case events.EventSent():
                self._event_sent(at_s, event)
            case events.EventAcked(ack):
                self._event_acked(at_s, ack)
            case events.LedsSet(shown):
                self._leds.shown(at_s, shown)
            case events.RequestUnclear():
                self.case.report(at_s, Rule.REQUEST, "a status request had neither get nor set")
            case events.PacketReceived():
                self._sound.received(at_s, event)
                self._line.received(at_s, event)
            case events.ReadingPaused():
                self._sound.paused(at_s)
                self._line.paused(at_s)
            case events.ReadingResumed():
                self._sound.resumed(at_s)
                self._line.resumed()

    def _reopened(self, at_s: float, call: events.Call) -> None:
        if self._taken_over_s is not None:
            self._connected(at_s)  # it takes over in its turn, and is as after a reconnect
        elif call is events.Call.AUDIO:
            self._sound.opened(at_s)

    def _connected(self, at_s: float) -> None:
        self._taken_over_s = None
        self._line.reset(at_s)
        self._sound.opened(at_s)
        self._leds.connected(at_s)

    def _disconnected(self, at_s: float, reason: str) -> None:
        if reason:
            self.case.report(at_s, Rule.LOST, f"the connection was lost: {reason}")
        self._taken_over_s = None
        self._sent = None
        self._acks.forget()
        self._sound.closed(at_s, wanted=not reason)
        self._sound.forget()
        self._leds.disconnected(wanted=not reason)
        self._line.reset(at_s)

    def _lost(self, at_s: float, call: events.Call, reason: str) -> None:
        self._left_open.discard(call)
        is_taken_over = self._others and reason.partition(":")[0] == TAKEN_OVER
        if is_taken_over or self._taken_over_s is not None:
            self._taken_over(at_s, call, reason)
            return
        self.case.report(at_s, Rule.LOST, f"the server ended {call.value}: {reason}")
        if call is events.Call.AUDIO:
            self._sound.closed(at_s, wanted=False)
            self._line.audio_lost(at_s)
        elif call is events.Call.EVENTS:
            self._sent = None
            self._acks.forget()
            self._leds.forget_unacked()

    def _taken_over(self, at_s: float, call: events.Call, reason: str) -> None:
        """Another connection of the same id has the device now: a take still has to be closed."""
        if call is events.Call.AUDIO:
            self._sound.closed(at_s, wanted=False)
            self._line.audio_lost(at_s)
        if self._taken_over_s is not None:
            return
        self._taken_over_s = at_s
        self._left_open = {events.Call.STATUS, events.Call.AUDIO} - {call}
        self.case.note(
            at_s, f"another connection with this device's id took over ({call.value}: {reason})"
        )
        self._sent = None
        self._acks.forget()
        self._sound.forget()
        self._leds.taken_over()

    def _check_left_open(self, at_s: float) -> None:
        """A take-over ends all calls of the connection. An `EventStream` is not read until used."""
        if self._taken_over_s is None or at_s <= self._taken_over_s + self.case.limits.soon_s:
            return
        for call in self._left_open - (set() if self._sound.is_reading else {events.Call.AUDIO}):
            self.case.report(
                at_s, Rule.LOST, f"{call.value} stayed open when the device was taken over"
            )
        self._left_open = set()

    def _event_acked(self, at_s: float, ack: bool) -> None:
        self._acks.acked(at_s, ack)
        if self._pressed() is not None:
            self._line.acked(at_s, self._effect)
            self._leds.acked(at_s)
        self._sent = None

    def _event_sent(self, at_s: float, event: events.EventSent) -> None:
        self._sent = event
        self._sound.excuse(at_s)
        self._acks.sent(at_s, event)
        self._leds.sent(at_s, event)
        if (button := self._pressed()) is not None:
            self._effect = self._line.effect(at_s, button)
            self._sound.pressed(at_s, self._effect)
            self._line.pressed(at_s, self._effect)

    def _pressed(self) -> Button | None:
        """The button of the event that has no ack yet, if it was a press of one."""
        sent = self._sent
        if sent is None or sent.action is not Action.PRESS or sent.button is Button.NONE:
            return None
        return sent.button
