"""Events of a device, in the words of its screen."""

from __future__ import annotations

from audio_server.simulator import events
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.messages import drawn


def describe(event: events.Event) -> str:  # noqa: C901 - a table of events
    """Return one line, or "" for an event that needs none: packets in the middle of a take."""
    match event:
        case events.PacketReceived(is_start=True, is_end=is_end):
            return "a take starts" + (" and ends" if is_end else "")
        case events.PacketReceived(is_end=True):
            return "the take ends"
        case events.EventSent(Button.NONE):
            return "an event that says nothing"
        case events.EventSent(button, Action.PRESS):
            return button.name.capitalize()
        case events.EventSent(button, action):
            return f"{button.name.capitalize()} {action.name.lower()}"
        case events.EventAcked(ack):
            return "acknowledged" if ack else "acknowledged: no"
        case events.LedsSet(leds):
            return "LEDs " + " ".join(f"{colour:06x}" for colour in drawn(leds)[1:])
        case events.StateAsked():
            return "the server asked for the state"
        case events.RequestUnclear():
            return "the server asked for nothing known"
        case events.ReadingPaused():
            return "stopped reading audio"
        case events.ReadingResumed():
            return "reads audio again"
        case events.Connecting():
            return "connecting"
        case events.ConnectFailed(reason):
            return f"cannot connect: {reason}"
        case events.Connected():
            return "connected"
        case events.Disconnected(reason):
            return f"connection lost: {reason}" if reason else "disconnected"
        case events.CallLost(call, reason):
            return f"{call.value} ended: {reason}"
        case events.CallReopened(call):
            return f"{call.value} opened again"
    return ""
