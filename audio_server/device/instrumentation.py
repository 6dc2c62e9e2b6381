"""Counts that devices report."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """How a take ended."""

    ENDED = "ended"
    """Its sound did."""

    CUT = "cut"
    """A press or a shutdown asked for it."""

    LOST = "lost"
    """The device, or its audio stream, was gone or stopped reading."""

    FAILED = "failed"
    """It could not be played."""


class LedFault(Enum):
    """Faults of a device's answer to an LED frame."""

    REFUSED = "refused"
    LATE = "late"


class Instrumentation:
    """Counts nothing: subclass it. Every method is called where it happens, and must not block."""

    def device_came(self) -> None:
        """A device is there that was not."""

    def device_back(self) -> None:
        """A device is on another connection than it was known to be, or to have been."""

    def device_gone(self) -> None:
        """A device is there no more."""

    def device_taken_over(self) -> None:
        """A newer call has ended a connection's calls of a device, here or at another worker."""

    def devices_failing(self, count: int) -> None:
        """So many devices cannot play, by the last count."""

    def take_begun(self) -> None:
        """A playback begins on a device."""

    def take_over(self, outcome: Outcome) -> None:
        """A take that had begun is over."""

    def sent(self, packets: int, size_bytes: int) -> None:
        """So many packets of sound were handed over, framed for gRPC."""

    def served(self, steps: int, late_s: float) -> None:
        """So many takes were refilled, this long after they were due."""

    def acknowledged(self, after_s: float) -> None:
        """An event of a button was acknowledged, so long after it was received."""

    def led_corrected(self) -> None:
        """A device showed other LEDs than it had been sent, and is sent them again."""

    def led_fault(self, fault: LedFault) -> None:
        """A device did not answer an LED frame as it should."""
