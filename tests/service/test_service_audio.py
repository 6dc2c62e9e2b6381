"""`ServerAudioStream`: when each packet is there, to the millisecond."""

from __future__ import annotations

import pytest
import trio
from grpclib.const import Status
from panel import Panel, status_of
from service_home import CALLS, LEAD_S, PACKET_BYTES, PACKET_S, frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.device.leds import ERROR
from audio_server.rpc.limits import Limits

EXACTLY_S = 1e-6
SMALL = Limits(stream_window_bytes=4096)
SHARED = Limits(stream_window_bytes=70_000, connection_window_bytes=65_536)
"""A device that holds less than a second of sound that it has not read."""


def lead_s(panel: Panel, index: int) -> float:
    """How far packet `index` was ahead of a player that started with the first."""
    return (index + 1) * PACKET_S - (panel.packets[index][0] - panel.packets[0][0])


async def test_sound_comes_in_real_time_within_the_lead(autojump_clock: MockClock) -> None:
    """Never more than the lead ahead, and never so late that a player would stand still."""
    async with open_home() as home, home.device() as panel:
        await panel.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(20.0)
    assert panel.heard == [f"3:{index}" for index in range(499)] + ["3:499."]
    leads = [lead_s(panel, index) for index in range(500)]
    assert max(leads) <= LEAD_S + EXACTLY_S
    assert min(leads) >= PACKET_S - EXACTLY_S


@pytest.mark.parametrize("lead_ms", [60, 300, 2000])
async def test_the_lead_is_a_setting(lead_ms: int, autojump_clock: MockClock) -> None:
    async with open_home(lead_ms=lead_ms) as home, home.device() as panel:
        await panel.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.testing.wait_all_tasks_blocked()
        assert len(panel.packets) == lead_ms / 1000 / PACKET_S
        await trio.sleep(4.0)
        assert max(lead_s(panel, i) for i in range(len(panel.packets))) * 1000 <= lead_ms + 0.001


async def test_it_shows_playing_until_the_sound_has_ended(autojump_clock: MockClock) -> None:
    """A clip of a second: its last packet is sent at 0.7 s, its sound ends at 1 s."""
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.PLAY)
        await trio.sleep(2.0)
    assert panel.packets[-1][0] <= 1.0 - LEAD_S + 4 * PACKET_S
    assert [leds for _, leds in panel.frames[-2:]] == [frame(0, playing=True), frame(0)]
    assert panel.frames[-1][0] == pytest.approx(1.0)


async def test_stop_is_felt_within_the_lead(autojump_clock: MockClock) -> None:
    for stop_s in (0.0, 0.21, 1.234, 7.77):
        async with open_home() as home, home.device() as panel:
            began_s = trio.current_time()
            await panel.press(*[Button.MODE] * 3, Button.PLAY)
            await trio.sleep(stop_s)
            await panel.press(Button.STOP)
            await trio.sleep(5.0)
        if not panel.packets:
            continue  # the take had not begun
        assert panel.heard[-1] == "cut."
        assert panel.packets[-1][0] - began_s == pytest.approx(stop_s)
        assert (len(panel.packets) - 1) * PACKET_S <= stop_s + LEAD_S + EXACTLY_S
        assert panel.shown == frame(0)


async def test_takes_are_closed_before_the_next_begins(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await panel.press(Button.MODE)
        for _ in range(3):
            await panel.press(Button.PLAY)
            await trio.sleep(0.1)
        await trio.sleep(1.0)
    cut = [*(f"1:{index}" for index in range(15)), "cut."]
    assert panel.heard[:32] == cut * 2
    assert panel.heard[32:] == [f"1:{index}" for index in range(24)] + ["1:24."]


async def test_a_device_that_does_not_read_pauses_its_take(autojump_clock: MockClock) -> None:
    """When it reads again the clip goes on where it was, with a lead again and not a rush."""
    async with open_home() as home, home.device(limits=SMALL, reads=False) as panel:
        await panel.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(20.0)
        await panel.press(Button.MODE)
        panel.reads.set()
        await trio.testing.wait_all_tasks_blocked()
        held = len(panel.packets)
        await trio.sleep(5.0)
        await panel.press(Button.STOP)
        await trio.testing.wait_all_tasks_blocked()
    assert panel.heard == [f"3:{index}" for index in range(len(panel.packets) - 1)] + ["cut."]
    assert held <= SMALL.stream_window_bytes / PACKET_BYTES + LEAD_S / PACKET_S
    assert len(panel.packets) - held == pytest.approx(5.0 / PACKET_S, abs=LEAD_S / PACKET_S)


async def test_after_30_s_without_progress_a_take_is_cut(autojump_clock: MockClock) -> None:
    """The LEDs tell, nothing resumes; the `is_end` goes out when the device reads again."""
    async with open_home() as home, home.device(limits=SMALL, reads=False) as panel:
        await panel.press(*[Button.MODE] * 3, Button.PLAY)
        await trio.sleep(40.0)
        silent_s, shown = panel.frames[-1]
        assert shown == frame(3)
        assert 30.0 <= silent_s <= 31.0
        panel.reads.set()
        await trio.sleep(5.0)
        assert panel.heard == [f"3:{index}" for index in range(len(panel.packets) - 1)] + ["cut."]
        panel.packets.clear()
        await panel.press(Button.STOP, Button.MODE, Button.PLAY)
        await trio.sleep(5.0)
        assert panel.heard == [f"1:{index}" for index in range(24)] + ["1:24."]


async def test_a_stalled_device_is_heard_and_shown_to(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device(limits=SMALL, reads=False) as panel:
        await panel.press(*[Button.MODE] * 3, Button.PLAY)
        for second in range(1, 11):
            await trio.sleep(1.0)
            await panel.press(Button.MODE)
            await trio.testing.wait_all_tasks_blocked()
            assert panel.frames[-1] == (float(second), frame((3 + second) % 5, playing=True))


async def test_sound_that_is_not_read_leaves_room_for_acks_and_leds(
    autojump_clock: MockClock,
) -> None:
    """A device whose whole connection has no more room than one stream, and that gives back only
    what it has read."""
    async with open_home() as home, home.device(limits=SHARED, reads=False) as panel:
        await panel.press(*[Button.MODE] * 3)
        for _ in range(12):
            with trio.fail_after(0.1):
                await panel.press(Button.PLAY)
            await trio.sleep(10.0)
        for mode in (4, 0, 1):
            with trio.fail_after(0.1):
                await panel.press(Button.MODE)
            await trio.testing.wait_all_tasks_blocked()
            assert panel.shown[2:] == frame(mode)[2:]


async def test_a_lost_stream_ends_its_take_and_nothing_resumes(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.connect() as stub, trio.open_nursery() as nursery:
        async with home.device("other", calls=[]) as panel:
            for name in CALLS:
                await panel.attend(name, stub, "one", nursery)
            await panel.press(*[Button.MODE] * 3, Button.PLAY)
            await trio.sleep(2.0)
            await panel.calls["ServerAudioStream"].cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert panel.frames[-1] == (2.0, frame(3))
            panel.packets.clear()
            await panel.attend("ServerAudioStream", stub, "one", nursery)
            await trio.sleep(2.0)
            assert panel.packets == []
            assert panel.shown == frame(3)
            await panel.press(Button.PLAY)
            await trio.sleep(1.0)
            assert panel.heard[0] == "3:0"
        nursery.cancel_scope.cancel()


async def test_a_take_waits_a_second_for_its_stream(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device(calls=["StatusStream", "EventStream"]) as panel:
        await panel.press(Button.MODE, Button.PLAY)
        await trio.sleep(3.0)
    at_s, shown = panel.frames[-1]
    assert at_s == pytest.approx(1.0)
    assert shown[1] == ERROR


async def test_a_request_without_its_message_is_refused(autojump_clock: MockClock) -> None:
    async with (
        open_home() as home,
        home.connect() as stub,
        stub.ServerAudioStream.open(metadata={"device_id": "one"}) as call,
    ):
        await call.end()
        assert await status_of(call) is Status.INTERNAL
