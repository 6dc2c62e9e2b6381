"""LED frames as the bytes that travel: whole gRPC messages, ready to send."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from audio_server.wire.comms_pb2 import (
    DeviceStatus,
    DeviceStatusRequest,
    DeviceStatusSet,
    RGBAColor,
)
from audio_server.wire.framing import frame_message

LEDS = 6


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
