"""The knowledge about a device from its answers, and from missing ones."""

from __future__ import annotations

from typing import NamedTuple

from audio_server.device.leds import Frame

_SMOOTHING = 8
"""A new round trip counts for an eighth, as TCP has it (RFC 6298)."""


class Telemetry(NamedTuple):
    """None is unknown. Every change makes a new object, so that `is` detects a change.

    `leds` are those that the device last confirmed, by accepting a frame or by reporting them:
    their intensity means nothing. `round_trip_s` is smoothed, from a request to its answer.
    `battery` is a share of 1. Errors and corrections count for as long as the device is known.
    """

    leds: Frame | None = None
    battery: float | None = None
    round_trip_s: float | None = None
    corrections: int = 0
    errors: int = 0
    last_error: str | None = None

    def answered(self, after_s: float, leds: Frame | None, battery: float | None) -> Telemetry:
        """The device answered a request; fields that it left out stay as they were."""
        known_s = after_s if self.round_trip_s is None else self.round_trip_s
        return Telemetry(
            self.leds if leds is None else leds,
            self.battery if battery is None else battery,
            known_s + (after_s - known_s) / _SMOOTHING,
            *self[3:],
        )

    def corrected(self) -> Telemetry:
        """The device showed other LEDs than it had confirmed, and gets them again."""
        return self._replace(corrections=self.corrections + 1)

    def erred(self, error: str) -> Telemetry:
        """Something went wrong with the device; `error` is one line."""
        return self._replace(errors=self.errors + 1, last_error=error)

    def elsewhere(self) -> Telemetry:
        """The device is on another connection: its LEDs and its round trip are unknown."""
        return Telemetry(
            corrections=self.corrections, errors=self.errors, last_error=self.last_error
        )
