"""What is known of a device by what it answered, and by what it did not."""

from __future__ import annotations

from typing import NamedTuple

from audio_server.device.leds import Frame

_SMOOTHING = 8
"""A new round trip counts for an eighth, as TCP has it (RFC 6298)."""


class Telemetry(NamedTuple):
    """None is unknown. Every change makes a new one, so a look at `is` tells whether there was any.

    `leds` are what the device last confirmed, by accepting a frame or by telling its LEDs: their
    intensity means nothing. `round_trip_s` is smoothed, from a request to its answer. `battery` is
    a share of 1. Errors and corrections are counted for as long as the device is known.
    """

    leds: Frame | None = None
    battery: float | None = None
    round_trip_s: float | None = None
    corrections: int = 0
    errors: int = 0
    last_error: str | None = None

    def answered(self, after_s: float, leds: Frame | None, battery: float | None) -> Telemetry:
        """The device answered a request; what it did not say stays as it was."""
        known_s = after_s if self.round_trip_s is None else self.round_trip_s
        return Telemetry(
            self.leds if leds is None else leds,
            self.battery if battery is None else battery,
            known_s + (after_s - known_s) / _SMOOTHING,
            *self[3:],
        )

    def corrected(self) -> Telemetry:
        """It showed other LEDs than it had confirmed, and is to be sent them again."""
        return self._replace(corrections=self.corrections + 1)

    def erred(self, error: str) -> Telemetry:
        """Something went wrong with the device; `error` is one line."""
        return self._replace(errors=self.errors + 1, last_error=error)

    def elsewhere(self) -> Telemetry:
        """The device is on another connection: what it showed and how fast it was is unknown."""
        return Telemetry(
            corrections=self.corrections, errors=self.errors, last_error=self.last_error
        )
