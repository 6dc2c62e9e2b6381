"""The contract oracle: told what happened to a device, it says what the server did wrong.

Pure: no tasks, no I/O, no clock of its own. It is fed with everything that happens, in order, and
asked to `tick` in between, so that what is missing is noticed too. It judges by the default
behaviour settings.
"""

from __future__ import annotations

from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.check_acks import AckCheck
from audio_server.simulator.check_leds import Frame, FrameOf, LedCheck
from audio_server.simulator.check_sound import SoundCheck
from audio_server.simulator.events import (
    Call,
    CallLost,
    CallReopened,
    Connected,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
    ReadingPaused,
    ReadingResumed,
    RequestUnclear,
)
from audio_server.simulator.playing import PlayingLine
from audio_server.simulator.verdict import Limits, Rule, Violation


def stock_frame(mode: int, playing: bool) -> Frame:
    """The frame that this project's server shows."""
    return leds(State(mode, playing=mode if playing else None))


class Oracle:
    """Judges what one device sees of a server, over any number of connections.

    `modes` is how many clips the server has; None: unknown, at least five. `frame_of` maps a state
    to its LEDs. With `others` operators may press and play as well, which it cannot see: a take or
    a state that nobody asked for here is theirs then. `violations` grows as rules are broken.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        modes: int | None = None,
        frame_of: FrameOf = stock_frame,
        others: bool = False,
    ) -> None:
        self.violations: list[Violation] = []
        self._others = others
        self._line = PlayingLine(limits)
        self._sound = SoundCheck(limits, self._report)
        self._acks = AckCheck(limits, self._report)
        self._leds = LedCheck(limits, frame_of, modes, self._line, self._report, others=others)
        self._sent: EventSent | None = None

    def _report(self, at_s: float, rule: Rule, text: str) -> None:
        if rule is not Rule.UNASKED or not self._others:
            self.violations.append(Violation(at_s, rule, text))

    def tick(self, at_s: float) -> None:
        """Notice what is due by `at_s` and has not come."""
        self._sound.tick(at_s)
        self._acks.tick(at_s)
        self._leds.tick(at_s)

    def feed(self, at_s: float, event: Event) -> None:
        """Take one event; `at_s` never goes back. Has the shape of an `Observer`."""
        self.tick(at_s)
        match event:
            case Connected() | Disconnected() | CallLost() | CallReopened():
                self._feed_connection(at_s, event)
            case EventSent() | EventAcked():
                self._feed_events(at_s, event)
            case PacketReceived() | ReadingPaused() | ReadingResumed():
                self._feed_audio(at_s, event)
            case LedsSet(shown):
                self._leds.shown(at_s, shown)
            case RequestUnclear():
                self._report(at_s, Rule.REQUEST, "a status request had neither get nor set")
            case _:
                pass

    def _feed_connection(
        self, at_s: float, event: Connected | Disconnected | CallLost | CallReopened
    ) -> None:
        match event:
            case Connected():
                self._connected(at_s)
            case Disconnected(reason):
                self._disconnected(at_s, reason)
            case CallLost(call, reason):
                self._lost(at_s, call, reason)
            case CallReopened(call):
                if call is Call.AUDIO:
                    self._sound.opened(at_s)

    def _connected(self, at_s: float) -> None:
        self._line.reset(at_s)
        self._sound.opened(at_s)
        self._leds.connected(at_s)

    def _disconnected(self, at_s: float, reason: str) -> None:
        if reason:
            self._report(at_s, Rule.LOST, f"the connection was lost: {reason}")
        self._sent = None
        self._acks.forget()
        self._sound.closed(at_s, wanted=not reason)
        self._sound.forget()
        self._leds.disconnected(wanted=not reason)
        self._line.reset(at_s)

    def _lost(self, at_s: float, call: Call, reason: str) -> None:
        self._report(at_s, Rule.LOST, f"the server ended {call.value}: {reason}")
        if call is Call.AUDIO:
            self._sound.closed(at_s, wanted=False)
            self._line.audio_lost(at_s)
        elif call is Call.EVENTS:
            self._sent = None
            self._acks.forget()
            self._leds.forget_unacked()

    def _feed_events(self, at_s: float, event: EventSent | EventAcked) -> None:
        if isinstance(event, EventAcked):
            self._acks.acked(at_s, event.ack)
            if (button := self._pressed()) is not None:
                self._line.acked(at_s, button)
                self._leds.acked(at_s)
            self._sent = None
            return
        self._sent = event
        self._acks.sent(at_s, event)
        self._leds.sent(at_s, event)
        if (button := self._pressed()) is not None:
            self._sound.pressed(at_s, button)
            self._line.pressed(at_s, button)

    def _pressed(self) -> Button | None:
        """The button of the event that has no ack yet, if it was a press of one."""
        sent = self._sent
        if sent is None or sent.action is not Action.PRESS or sent.button is Button.NONE:
            return None
        return sent.button

    def _feed_audio(
        self, at_s: float, event: PacketReceived | ReadingPaused | ReadingResumed
    ) -> None:
        match event:
            case PacketReceived():
                self._sound.received(at_s, event)
                self._line.received(at_s, event)
            case ReadingPaused():
                self._sound.paused(at_s)
                self._line.paused(at_s)
            case ReadingResumed():
                self._sound.resumed(at_s)
                self._line.resumed()
