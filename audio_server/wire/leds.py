"""LED frames as the bytes that travel: whole gRPC messages, ready to send."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from audio_server.rpc.framing import frame_message
from audio_server.wire.comms_pb2 import (
    DeviceStatus,
    DeviceStatusRequest,
    DeviceStatusSet,
    RGBAColor,
)

LEDS = 6

GET_STATE = frame_message(DeviceStatusRequest(get=True).SerializeToString())
"""A `get` request: the device answers with its LEDs."""


@lru_cache(maxsize=256)
def frame_leds(colours: Sequence[int]) -> bytes:
    """A `set` request with all six LEDs (`0xRRGGBBAA`): one that is left out turns black."""
    leds = {f"led_{index}": RGBAColor(rgba=colour) for index, colour in enumerate(colours)}
    request = DeviceStatusRequest(set=DeviceStatusSet(**leds))
    return frame_message(request.SerializeToString())


def reported_leds(status: DeviceStatus) -> tuple[int, int, int, int, int, int] | None:
    """The LEDs of a `get` answer; None unless the device told all six."""
    names = [f"led_{index}" for index in range(LEDS)]
    if not all(status.HasField(name) for name in names):
        return None
    zero, one, two, three, four, five = (getattr(status, name).rgba for name in names)
    return zero, one, two, three, four, five


def reported_battery(status: DeviceStatus) -> float | None:
    """The battery of a `get` answer, a share of 1; an unset field reads as 0.

    Raises `ValueError` for a level that is none.
    """
    level = float(status.battery_level)
    if not 0.0 <= level <= 1.0:
        raise ValueError(f"reported a battery level of {level:g} (expected 0 to 1)")
    return level or None


def differ(status: DeviceStatus, colours: Sequence[int]) -> bool:
    """Whether a device shows other colours than these (`0xRRGGBBAA`) on an LED that it tells.

    LED 0 is its own, and it does not keep intensity: neither is looked at.
    """
    return any(
        status.HasField(f"led_{index}")
        and getattr(status, f"led_{index}").rgba >> 8 != colours[index] >> 8
        for index in range(1, LEDS)
    )
