"""The parts of a device's screen, kept up to date by its events."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import trio

from audio_server.process.printable import printable
from audio_server.simulator import events
from audio_server.simulator.describe import describe
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.judge import Judge
from audio_server.simulator.playout import Playout

KEPT_LINES = 100
LEDS_OFF = (0xFFFFFFFF, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log. `leds` were set; `bad` marks an event that should not have happened."""

    at_s: float
    text: str
    leds: tuple[int | None, ...] = ()
    bad: bool = False


class Widgets:
    """An observer of one device; `screen` draws it. Attach it after the oracle, if there is one."""

    def __init__(self, device: VirtualDevice, address: str, oracle: Judge | None = None) -> None:
        self.address = address
        self.playout = Playout()
        self.leds: tuple[int | None, ...] = LEDS_OFF
        self.lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self.take_open = False
        self.device = device
        self._oracle = oracle
        self._told = 0
        self._sent: tuple[float, str] = (0.0, "")

    def __call__(self, at_s: float, event: events.Event) -> None:
        self.playout(at_s, event)
        match event:
            case events.LedsSet(leds):
                self.leds = leds
            case events.PacketReceived():
                self.take_open = not event.is_end
            case events.Disconnected():
                self.take_open = False
        self._log(at_s, event)
        self.tell_violations()

    def _log(self, at_s: float, event: events.Event) -> None:
        """An ack goes on the line of its event; the rest is told as it comes."""
        text = printable(describe(event))  # a server's words are among them
        if isinstance(event, events.EventSent):
            self._sent = (at_s, text)
        elif isinstance(event, events.EventAcked):
            sent_s, sent = self._sent
            text = f"{sent}: {text} after {1000 * (at_s - sent_s):.1f} ms"
            self.lines.append(Line(at_s, text))
        elif isinstance(event, events.LedsSet):
            self.lines.append(Line(at_s, "LEDs", leds=event.leds))
        elif text and not isinstance(event, events.Connecting):
            if self.lines and self.lines[-1].text == text:
                self.lines.pop()
            self.lines.append(Line(at_s, text))

    def say(self, text: str) -> None:
        """Add a line of one's own to the log."""
        self.lines.append(Line(trio.current_time(), printable(text)))

    def tell_violations(self) -> None:
        """Log the violations that the oracle has found since the last call."""
        found = self._oracle.violations[self._told :] if self._oracle else []
        self._told += len(found)
        self.lines.extend(Line(v.at_s, printable(f"broken: {v}"), bad=True) for v in found)
