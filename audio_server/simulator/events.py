"""Events of a device, seen from the device: values that observers get.

Times are seconds on one monotonic clock (`trio.current_time`), never the time of day.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from audio_server.simulator.buttons import Action, Button
from audio_server.wire.audio import PACKET_MS

PACKET_S = PACKET_MS / 1000
"""Length of one packet in seconds."""

LED_COUNT = 6


class Call(Enum):
    """The three calls of a device."""

    STATUS = "StatusStream"
    EVENTS = "EventStream"
    AUDIO = "ServerAudioStream"


@dataclass(frozen=True, slots=True)
class Connecting:
    """A connection is being opened."""


@dataclass(frozen=True, slots=True)
class ConnectFailed:
    """No server answers there. The device tries again, or is off."""

    reason: str


@dataclass(frozen=True, slots=True)
class Connected:
    """All three calls are open."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone. `reason` is empty if the device was switched off."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallLost:
    """One call ended although the device wanted it; the other two go on."""

    call: Call
    reason: str


@dataclass(frozen=True, slots=True)
class CallReopened:
    """A call that was lost has been opened again on the same connection."""

    call: Call


@dataclass(frozen=True, slots=True)
class EventSent:
    """An event is leaving; its ack is now awaited."""

    button: Button
    action: Action = Action.PRESS


@dataclass(frozen=True, slots=True)
class EventAcked:
    """The response to the oldest event that had none."""

    ack: bool


@dataclass(frozen=True, slots=True)
class StateAsked:
    """The server sent `get` and was answered."""


@dataclass(frozen=True, slots=True)
class RequestUnclear:
    """The server sent a status request with neither `get` nor `set`."""


@dataclass(frozen=True, slots=True)
class LedsSet:
    """The server sent `set`: 0xRRGGBBAA of each LED, None where it was left out."""

    leds: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class PacketReceived:
    """One audio packet was read."""

    is_start: bool
    is_end: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class ReadingPaused:
    """The device stops reading its audio stream."""


@dataclass(frozen=True, slots=True)
class ReadingResumed:
    """The device reads its audio stream again."""


Event: TypeAlias = (
    Connecting
    | ConnectFailed
    | Connected
    | Disconnected
    | CallLost
    | CallReopened
    | EventSent
    | EventAcked
    | StateAsked
    | RequestUnclear
    | LedsSet
    | PacketReceived
    | ReadingPaused
    | ReadingResumed
)

Observer: TypeAlias = Callable[[float, Event], None]
"""Called at once, in the device's own task, with the time and the event. It must not block or
raise: an observer that fails ends the device."""
