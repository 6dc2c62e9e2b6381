"""A device that says what it was not asked is heard as fast as it may press, and no faster."""

from __future__ import annotations

import trio
import trio.testing
from panel import Panel
from service_home import frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.rpc.limits import Limits
from audio_server.service.status_stream import UNASKED
from audio_server.wire.comms_pb2 import DeviceStatusResponse

UNASKED_FOR = DeviceStatusResponse(status="x" * 100)


async def test_a_flood_is_held_back_by_its_window(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as flood, home.device("two") as other:
        await trio.sleep(5)
        sent = await flooded(flood, 10.0)
        assert sent < UNASKED[0] + 10 * UNASKED[1] + Limits().stream_window_bytes / 100
        before = trio.current_time()
        await other.press(Button.MODE)
        await flood.press(Button.MODE)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == before
        assert (other.shown, flood.shown) == (frame(1), frame(1))


async def flooded(panel: Panel, for_s: float) -> int:
    """How many answers were sent, of far more than there should be."""
    sent = 0
    with trio.move_on_after(for_s):
        while sent < 20_000:
            await panel.calls["StatusStream"].send_message(UNASKED_FOR)
            sent += 1
    return sent


async def test_a_few_make_no_difference(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(5)
        for mode in range(1, 5):
            for _ in range(10):
                await panel.calls["StatusStream"].send_message(UNASKED_FOR)
            await trio.testing.wait_all_tasks_blocked()
            await panel.press(Button.MODE)
            await trio.testing.wait_all_tasks_blocked()
            assert (trio.current_time(), panel.shown) == (5, frame(mode))
        report = home.devices.by_id["one"].report
        assert (report.errors, report.corrections) == (1, 0)  # once a call
