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


def describe(event: Event) -> str:  # noqa: C901 - a table of events
    """Return one line, or "" for an event that needs none: packets in the middle of a take."""
    match event:
        case PacketReceived(is_start=True, is_end=is_end):
            return "a take starts" + (" and ends" if is_end else "")
        case PacketReceived(is_end=True):
            return "the take ends"
        case EventSent(Button.NONE):
            return "an event that says nothing"
        case EventSent(button, Action.PRESS):
            return button.name.capitalize()
        case EventSent(button, action):
            return f"{button.name.capitalize()} {action.name.lower()}"
        case EventAcked(ack):
            return "acknowledged" if ack else "acknowledged: no"
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
    return ""
