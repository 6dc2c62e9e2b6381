"""What the tests of looks at a device's LEDs share."""

from __future__ import annotations

from typing import Any

from panel import Panel
from service_home import FIVE, Home, open_home

from audio_server.assembly import make_devices
from audio_server.device.device import Device
from audio_server.device.instrumentation import Instrumentation, LedFault
from audio_server.settings import Settings

STARTUP_S = 1.0
WRONG = (0, 0x12345600, 0, 0, 0, 0)


class Tally(Instrumentation):
    """Counts what this file is about."""

    def __init__(self) -> None:
        self.corrections = 0
        self.faults: list[LedFault] = []

    def led_corrected(self) -> None:
        self.corrections += 1

    def led_fault(self, fault: LedFault) -> None:
        self.faults.append(fault)


def counted_home(tally: Tally) -> Any:
    return open_home(devices=make_devices(Settings(), FIVE, meter=tally))


def the_device(home: Home) -> Device:
    return home.devices.by_id["one"]


def since(panel: Panel, at_s: float) -> list[Any]:
    return [leds for shown_s, leds in panel.frames if shown_s >= at_s]


def rgb(device: Device) -> list[int]:
    """The colours that it last confirmed."""
    assert device.report.leds is not None
    return [led >> 8 for led in device.report.leds]


def warnings(logs: list[Any]) -> list[Any]:
    return [line["event"] for line in logs if line["log_level"] == "warning"]
