"""Has every device asked for its LEDs now and then, a few at a time.

One task for all of them: a device has no timer of its own. Those that came together are asked one
after the other, and however many there are, so many a second are not exceeded.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import NoReturn

import trio

from audio_server.device.device import Device

ROUND_S = 30.0
"""How often a device is asked, while there are no more than `MOST` each `STEP_S` let us."""

STEP_S = 0.5
MOST = 50
"""With more than 3,000 devices a round takes longer: at 10,000 it is 100 seconds."""


async def read_back_leds(devices: Mapping[str, Device]) -> NoReturn:
    """Have one device after the other looked at, round after round, until cancelled."""
    while True:
        ids = list(devices) or [""]
        step_s = max(STEP_S, ROUND_S / len(ids))
        size = min(ceil(len(ids) * step_s / ROUND_S), MOST)
        for start in range(0, len(ids), size):
            await trio.sleep(step_s)
            for device_id in ids[start : start + size]:
                if device_id in devices:
                    devices[device_id].look()
