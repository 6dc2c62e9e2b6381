"""Events of a device, in the words of its screen."""

from __future__ import annotations

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import (
    CallLost,
    CallReopened,
    Connected,
    ConnectFailed,
    Connecting,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
    ReadingPaused,
    ReadingResumed,
    RequestUnclear,
    StateAsked,
)
from audio_server.simulator.messages import drawn


def describe(event: Event) -> str:
    """Return one line, or "" for an event that needs none: packets in the middle of a take."""
    match event:
        case PacketReceived():
            return _packet(event)
        case EventSent() | EventAcked():
            return _event(event)
        case LedsSet(leds):
            return "LEDs " + " ".join(f"{colour:06x}" for colour in drawn(leds)[1:])
        case StateAsked():
            return "the server asked for the state"
        case RequestUnclear():
            return "the server asked for nothing known"
        case ReadingPaused():
            return "stopped reading audio"
        case ReadingResumed():
            return "reads audio again"
        case _:
            return _connection(event)


def _packet(packet: PacketReceived) -> str:
    if packet.is_start:
        return "a take starts" + (" and ends" if packet.is_end else "")
    return "the take ends" if packet.is_end else ""


def _event(event: EventSent | EventAcked) -> str:
    if isinstance(event, EventAcked):
        return "acknowledged" if event.ack else "acknowledged: no"
    if event.button is Button.NONE:
        return "an event that says nothing"
    name = event.button.name.capitalize()
    return name if event.action is Action.PRESS else f"{name} {event.action.name.lower()}"


def _connection(event: Event) -> str:
    match event:
        case Connecting():
            return "connecting"
        case ConnectFailed(reason):
            return f"cannot connect: {reason}"
        case Connected():
            return "connected"
        case Disconnected(reason):
            return f"connection lost: {reason}" if reason else "disconnected"
        case CallLost(call, reason):
            return f"{call.value} ended: {reason}"
        case CallReopened(call):
            return f"{call.value} opened again"
        case _:
            return ""
