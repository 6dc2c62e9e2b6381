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


class Call(Enum):
    """The three calls of a device."""

    STATUS = "StatusStream"
    EVENTS = "EventStream"
    AUDIO = "ServerAudioStream"


class Event:
    """Anything that a device does, or that happens to it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Connecting(Event):
    """A connection is being opened."""


@dataclass(frozen=True, slots=True)
class ConnectFailed(Event):
    """No server answers there. The device tries again, or is off."""

    reason: str


@dataclass(frozen=True, slots=True)
class Connected(Event):
    """All three calls are open."""


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The connection is gone. `reason` is empty if the device was switched off."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class CallLost(Event):
    """One call ended although the device wanted it; the other two go on."""

    call: Call
    reason: str


@dataclass(frozen=True, slots=True)
class CallReopened(Event):
    """A call that was lost has been opened again on the same connection."""

    call: Call


@dataclass(frozen=True, slots=True)
class EventSent(Event):
    """An event is leaving; its ack is now awaited."""

    button: Button
    action: Action = Action.PRESS


@dataclass(frozen=True, slots=True)
class EventAcked(Event):
    """The response to the oldest event that had none."""

    ack: bool


@dataclass(frozen=True, slots=True)
class StateAsked(Event):
    """The server sent `get` and was answered."""


@dataclass(frozen=True, slots=True)
class RequestUnclear(Event):
    """The server sent a status request with neither `get` nor `set`."""


@dataclass(frozen=True, slots=True)
class LedsSet(Event):
    """The server sent `set`: 0xRRGGBBAA of each LED, None where it was left out."""

    leds: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class PacketReceived(Event):
    """One audio packet was read."""

    is_start: bool
    is_end: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class ReadingPaused(Event):
    """The device stops reading its audio stream."""


@dataclass(frozen=True, slots=True)
class ReadingResumed(Event):
    """The device reads its audio stream again."""


Observer: TypeAlias = Callable[[float, Event], None]
"""Called at once, in the device's own task, with the time and the event. It must not block or
raise: an observer that fails ends the device."""
