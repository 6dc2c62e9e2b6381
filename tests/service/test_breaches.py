"""Breaches of the contract by a device are errors of it that its page, API and history show."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from panel import SUCCESS, event_of, send_bytes
from service_home import Home, frame, open_home
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.behaviour import Button
from audio_server.device.telemetry import Telemetry
from audio_server.rpc.framing import frame_message
from audio_server.service.event_stream import AHEAD, UNSET
from audio_server.service.status_stream import EMPTY, UNASKED_FOR
from audio_server.wire.comms_pb2 import DeviceStatus, DeviceStatusResponse

ROUND_S = 40.0
"""Longer than it takes until a device is asked for its LEDs."""


def report_of(home: Home) -> Telemetry:
    return home.devices.by_id["one"].report


def found(home: Home) -> tuple[int, str | None]:
    return report_of(home).errors, report_of(home).last_error


async def test_a_stock_device_breaks_nothing(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(ROUND_S)
        await panel.press(*[Button.MODE] * 20, Button.PLAY, Button.STOP)
        assert found(home) == (0, None)


async def test_events_that_wait_for_no_acknowledgement(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        for _ in range(2):
            event = frame_message(event_of(Button.MODE).SerializeToString())
            await panel.calls["EventStream"]._opened.send_message(event + event)
            await wait_all_tasks_blocked()
        assert found(home) == (1, AHEAD)
        assert panel.shown == frame(4)


async def test_an_event_with_no_field_set(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await send_bytes(panel.calls["EventStream"], b"")
        await wait_all_tasks_blocked()
        assert found(home) == (1, UNSET)


async def test_a_device_that_speaks_first(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(2)
        for _ in range(3):
            await panel.calls["StatusStream"].send_message(SUCCESS)
            await trio.sleep(1)
        assert found(home) == (1, UNASKED_FOR)


@pytest.mark.parametrize(
    ("answer", "breach"),
    [
        (DeviceStatusResponse(status="ok"), 'refused LEDs: "ok" (expected "success")'),
        (DeviceStatusResponse(), EMPTY),
    ],
)
async def test_answers_to_leds(autojump_clock: MockClock, answer: Any, breach: str) -> None:
    async with open_home() as home, home.device(answer=answer):
        await trio.sleep(0.1)
        assert found(home) == (1, breach)


@pytest.mark.parametrize(("level", "shown"), [(55.0, "55"), (-0.5, "-0.5"), (float("nan"), "nan")])
async def test_a_battery_out_of_range(autojump_clock: MockClock, level: float, shown: str) -> None:
    async with open_home() as home, home.device() as panel:
        panel.state = DeviceStatusResponse(state=DeviceStatus(battery_level=level))
        await trio.sleep(3 * ROUND_S)
        assert found(home) == (1, f"reported a battery level of {shown} (expected 0 to 1)")
        assert report_of(home).battery is None
