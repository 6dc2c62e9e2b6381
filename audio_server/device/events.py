"""What happens to devices, for whoever keeps a record of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class DeviceEvent(StrEnum):
    """What happened, and the details that are told with it."""

    CONNECTED = "connected"
    """Who is there, as text (str), and whether calls on another connection ended for it (bool)."""

    GONE = "gone"
    """The `Device`, which is not to be kept."""

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
    """What the device did or answered wrongly, or was not allowed (str)."""

    RENAMED = "renamed"
    """The new name; None where it was taken away."""

    ACTION = "action"
    """What an operator did: press, play or stop; the Button, the name of the clip, or None."""


class Listener(Protocol):
    """Keeps a record of what happens."""

    def happened(self, device_id: str, kind: DeviceEvent, *details: object) -> None:
        """Called where it happens, in the midst of it: must return at once, and raise nothing."""

    def changed(self, device_id: str) -> None:
        """Something else is to be seen of a device: its report, or which streams it has open.
        Called as `happened` is."""
