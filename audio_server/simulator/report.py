"""A summary of a device's events, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from audio_server.simulator import events
from audio_server.simulator.buttons import Button
from audio_server.simulator.verdict import Note, Violation

SHOWN_TAKES = 20
SHOWN_NOTES = 10


@dataclass(slots=True)
class Take:
    """A take as it was received."""

    started_s: float
    packets: int = 0
    ended: str = "still open"


class Report:
    """An observer that counts. Times in its lines are seconds since it was made."""

    def __init__(self, device_id: str, at_s: float) -> None:
        self._device_id = device_id
        self._began_s = at_s
        self._sent_s = at_s
        self._pressed = "by itself"
        self.connections = 0
        self.frames = 0
        self.events = 0
        self.acks_s: list[float] = []
        self.takes: list[Take] = []

    def __call__(self, at_s: float, event: events.Event) -> None:
        match event:
            case events.Connected():
                self.connections += 1
            case events.LedsSet():
                self.frames += 1
            case events.EventSent(button, _):
                self.events += 1
                self._sent_s = at_s
                if button in (Button.PLAY, Button.STOP):
                    self._pressed = f"by {button.name.capitalize()}"
            case events.EventAcked():
                self.acks_s.append(at_s - self._sent_s)
            case events.PacketReceived():
                self._count(at_s, event)
            case events.Disconnected() | events.CallLost():
                self._end("by the end of the connection")

    def _count(self, at_s: float, packet: events.PacketReceived) -> None:
        if packet.is_start:
            self.takes.append(Take(at_s))
            self._pressed = "by itself"
        if self.takes:
            self.takes[-1].packets += 1
        if packet.is_end:
            self._end(self._pressed)

    def _end(self, ended: str) -> None:
        if self.takes and self.takes[-1].ended == "still open":
            self.takes[-1].ended = ended

    def lines(
        self, violations: Sequence[Violation], notes: Sequence[Note], *, takes: bool
    ) -> Iterator[str]:
        """One line about the device, one for each take if so wanted, each note and violation."""
        yield f"{self._device_id}: {self._summary()}"
        for number, take in enumerate(self.takes[:SHOWN_TAKES] if takes else [], 1):
            length = f"{_count(take.packets, 'packet')} ({take.packets * events.PACKET_S:.2f} s)"
            yield f"  take {number} at {self._since(take.started_s)}: {length}, {take.ended}"
        if takes and len(self.takes) > SHOWN_TAKES:
            yield f"  and {len(self.takes) - SHOWN_TAKES} takes more"
        for note in notes[:SHOWN_NOTES]:
            yield f"  note at {self._since(note.at_s)}: {note}"
        if len(notes) > SHOWN_NOTES:
            yield f"  and {len(notes) - SHOWN_NOTES} notes more"
        for violation in violations:
            yield f"  BROKEN at {self._since(violation.at_s)}: {violation} ({violation.rule.value})"

    def _summary(self) -> str:
        counts = (
            _count(self.connections, "connection"),
            _count(self.frames, "LED frame"),
            f"{_count(self.events, 'event')} ({self._acks()})",
            _count(len(self.takes), "take"),
            _count(sum(take.packets for take in self.takes), "packet"),
        )
        return ", ".join(counts)

    def _acks(self) -> str:
        if not self.acks_s:
            return "no acks"
        mean_ms = 1000 * sum(self.acks_s) / len(self.acks_s)
        return f"acks after {mean_ms:.1f} ms, at most {1000 * max(self.acks_s):.1f} ms"

    def _since(self, at_s: float) -> str:
        return f"{at_s - self._began_s:.2f} s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
