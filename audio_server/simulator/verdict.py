"""A verdict of the oracle: the rule that was broken, the time, and the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple, TypeAlias, get_args

PlayWhilePlaying: TypeAlias = Literal["restart", "ignore", "queue"]
ModeWhilePlaying: TypeAlias = Literal["keep", "stop", "switch"]
StopGoes: TypeAlias = Literal["home", "keep"]


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
class Note:
    """Something that the contract allows and a reader of the verdict should know. `at_s` is on the
    clock of the events that the oracle got."""

    at_s: float
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Violation(Note):
    """One broken rule."""

    rule: Rule


PLAY_WHILE_PLAYING: tuple[PlayWhilePlaying, ...] = get_args(PlayWhilePlaying)
MODE_WHILE_PLAYING: tuple[ModeWhilePlaying, ...] = get_args(ModeWhilePlaying)
STOP_GOES: tuple[StopGoes, ...] = get_args(StopGoes)
"""The values of each setting; the defaults of the contract come first."""


class ServerRules(NamedTuple):
    """Settings of a server that change single cells of the contract's table."""

    play_while_playing: PlayWhilePlaying = "restart"
    mode_while_playing: ModeWhilePlaying = "keep"
    stop_goes: StopGoes = "home"


@dataclass(frozen=True, slots=True)
class Limits:
    """Tolerances; the first is the server's setting, the others belong to the judge.

    `tolerance_s` is the allowance for the network and two busy machines, for any time.
    `response_s` is the length of "at once": an ack, a LED frame, the first packet of a take.
    `startup_s` is the time from connecting to the state on the LEDs.
    """

    lead_s: float = 0.3
    tolerance_s: float = 0.1
    response_s: float = 0.25
    startup_s: float = 2.0

    @property
    def soon_s(self) -> float:
        """How late a response may be seen."""
        return self.response_s + self.tolerance_s


@dataclass(slots=True)
class Case:
    """The settings by which a server is judged, and the findings; shared by the oracle's parts.

    `acts` counts the acts of operators that it takes to explain the events.
    """

    limits: Limits
    rules: ServerRules
    violations: list[Violation] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    acts: int = 0

    def report(self, at_s: float, rule: Rule, text: str) -> None:
        """Add a violation."""
        self.violations.append(Violation(at_s, text, rule))

    def note(self, at_s: float, text: str) -> None:
        """Add a note."""
        self.notes.append(Note(at_s, text))

    def note_act(self, at_s: float, text: str) -> None:
        """Add a note of an operator's act."""
        self.acts += 1
        self.note(at_s, text)
