"""What an oracle says: which rule was broken, when, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class Rule(Enum):
    """The rules of the device contract that can be seen from a device."""

    GRAMMAR = "audio is (start middle* end)*"
    PACKET = "every audio packet is 20 ms of Opus, mono"
    PACE = "sound is at most the lead ahead"
    LATE = "sound never runs dry"
    UNASKED = "nothing plays that nobody asked for"
    SILENT = "Play starts the clip"
    STOP = "a cut is felt within the lead"
    ACK = "one ack an event, in order, at once"
    LEDS = "LEDs show the state, all six of them"
    REQUEST = "a status request is get or set"
    LOST = "the server keeps the calls open"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule. `at_s` is on the clock of what was fed to the oracle."""

    at_s: float
    rule: Rule
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a server may go; the first is its setting, the others belong to the judge.

    `tolerance_s` is what the network and two busy machines may add to any time. `response_s` is
    how soon "at once" is: an ack, a LED frame, the first packet of a take. `startup_s` is by when
    the state shows after connecting.
    """

    lead_s: float = 0.3
    tolerance_s: float = 0.1
    response_s: float = 0.25
    startup_s: float = 2.0

    @property
    def soon_s(self) -> float:
        """How late a response may be seen."""
        return self.response_s + self.tolerance_s


Report: TypeAlias = Callable[[float, Rule, str], None]
"""Takes a violation: when, which rule, a sentence."""
