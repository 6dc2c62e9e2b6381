"""How far sound runs ahead of the player of a device, and how often it is topped up."""

from __future__ import annotations

from dataclasses import dataclass

from audio_server.device.timer_wheel import TICK_S
from audio_server.wire.audio import PACKET_MS

PACKET_S = PACKET_MS / 1000
LEAD_MIN_S = 2 * PACKET_S

ROUNDING = 1e-6
"""In packets: the rounding error of a float, for times that should be multiples of 20 ms."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How far sound runs ahead of its player, and how long it waits for a device that stalls.

    Raises `ValueError` for a lead under two packets, which leaves no time to top it up.
    """

    lead_s: float
    stall_s: float = 30.0

    def __post_init__(self) -> None:
        if self.lead_s < LEAD_MIN_S:
            raise ValueError(f"a lead of {self.lead_s} s is shorter than {LEAD_MIN_S} s")

    @property
    def refill(self) -> int:
        """How many packets a take sends in a wake: three quarters of the lead.

        Of a short lead less, so that a packet is left in hand when the wake comes a tick late.
        """
        left_s = self.lead_s - TICK_S - PACKET_S
        return int(min(self.lead_s * 3 / 4, left_s) / PACKET_S + ROUNDING) or 1
