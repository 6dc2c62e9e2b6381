"""Events of devices, and the listeners that receive them."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class DeviceEvent(StrEnum):
    """The kinds of events, each with the details that a listener gets."""

    CONNECTED = "connected"
    """The peer, as text (str), and whether calls on another connection ended for it (bool)."""

    GONE = "gone"
    """The `Device`, which is not to be kept, and the reason (str)."""

    PRESS = "press"
    """Button and Action."""

    TAKE_STARTED = "take_started"
    """The name of the clip."""

    TAKE_ENDED = "take_ended"
    """The name of the clip, Outcome, seconds played, and if it failed why (str), else None."""

    LEDS = "leds"
    """The `Frame` that is shown from now on; None: the start-up sequence."""

    CORRECTION = "correction"
    """Nothing: the device showed other LEDs than it was sent."""

    REFUSED = "refused"
    """The fault of a device or of its answer, or the refusal it got (str)."""

    RENAMED = "renamed"
    """The new name; None where it was taken away."""

    ACTION = "action"
    """An action of an operator: press, play, stop or judge; the Button, the name of the clip, or
    None."""

    ANNOUNCEMENT = "announcement"
    """The id of an announcement, the name of its sound, its Hearing, and the reason or None."""


class Listener(Protocol):
    """Receives the events of all devices."""

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Called where it happens, in the midst of it: must return at once, and raise nothing."""

    def changed(self, device_id: str) -> None:
        """Called when another visible property of a device has changed: its report, or its open
        streams. Called as `happened` is."""
