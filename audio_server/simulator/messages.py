"""The contract's messages as events of a device, and back."""

from __future__ import annotations

from collections.abc import Sequence

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import EventSent, LedsSet
from audio_server.wire.comms_pb2 import (
    ButtonEvent,
    DeviceEvent,
    DeviceStatus,
    DeviceStatusResponse,
    DeviceStatusSet,
    RGBAColor,
)
from audio_server.wire.leds import LEDS

WHITE = 0xFFFFFF
"""LED 0, which is the device's own."""

BLACK = 0x000000

_LED_NAMES = tuple(f"led_{number}" for number in range(LEDS))


def leds_set(message: DeviceStatusSet) -> LedsSet:
    """Return the value of each LED in a `set`."""
    return LedsSet(
        tuple(
            getattr(message, name).rgba if message.HasField(name) else None for name in _LED_NAMES
        )
    )


def drawn(leds: Sequence[int | None]) -> tuple[int, ...]:
    """The colours 0xRRGGBB a stock device shows: black where left out, LED 0 its own white."""
    return (WHITE, *(BLACK if led is None else led >> 8 for led in leds[1:]))


def state_answer(colours: Sequence[int]) -> DeviceStatusResponse:
    """The answer to `get`: LEDs only, intensity full; buttons and battery stay unset."""
    state = DeviceStatus()
    for name, colour in zip(_LED_NAMES, colours, strict=True):
        getattr(state, name).CopyFrom(RGBAColor(rgba=colour << 8 | 0xFF))
    return DeviceStatusResponse(state=state)


def device_event(event: EventSent) -> DeviceEvent:
    """The message of an event; `Button.NONE` leaves its oneof unset."""
    if event.button is Button.NONE:
        return DeviceEvent()
    return DeviceEvent(
        button_event=ButtonEvent(
            button_id=ButtonEvent.ButtonId.Name(event.button - 1),
            event=ButtonEvent.ButtonEventType.Name(event.action),
        )
    )
