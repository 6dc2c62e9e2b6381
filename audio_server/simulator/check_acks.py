"""The part of the oracle that judges acks: one an event, in order, true or false, at once."""

from __future__ import annotations

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import EventSent
from audio_server.simulator.verdict import Case, Rule


class AckCheck:
    """Follows one `EventStream`, which is lock-step: at most one event has no ack yet."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._pending: EventSent | None = None
        self._sent_s = 0.0
        self._reported = False

    def sent(self, at_s: float, event: EventSent) -> None:
        self._pending, self._sent_s, self._reported = event, at_s, False

    def acked(self, at_s: float, ack: bool) -> None:
        event, self._pending = self._pending, None
        if event is None:
            self._case.report(at_s, Rule.ACK, "an ack came that no event had asked for")
            return
        due = event.button is not Button.NONE
        if ack != due:
            name = _name(event)
            self._case.report(at_s, Rule.ACK, f"{name} was answered with ack={ack}, not {due}")
        self._check_late(at_s, event)

    def forget(self) -> None:
        """The stream is gone, and with it the ack."""
        self._pending = None

    def tick(self, at_s: float) -> None:
        if self._pending is not None:
            self._check_late(at_s, self._pending)

    def _check_late(self, at_s: float, event: EventSent) -> None:
        waited_s = at_s - self._sent_s
        if waited_s > self._case.limits.soon_s and not self._reported:
            self._reported = True
            text = f"{_name(event)} had no ack within {self._case.limits.soon_s * 1000:.0f} ms"
            self._case.report(at_s, Rule.ACK, text)


def _name(event: EventSent) -> str:
    if event.button is Button.NONE:
        return "an event that is unset"
    return f"{event.action.name} of {event.button.name.capitalize()}"
