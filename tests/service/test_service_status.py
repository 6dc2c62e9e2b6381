"""`StatusStream`: what is sent to a device, and when."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from panel import SUCCESS
from service_home import frame, open_home
from trio.testing import MockClock

from audio_server.device.behaviour import Action, Button
from audio_server.device.leds import STARTUP
from audio_server.service.status_stream import ANSWER_S, UNANSWERED_MAX
from audio_server.wire.comms_pb2 import DeviceEvent, DeviceStatusResponse

STARTUP_FRAMES = [leds for _, leds in STARTUP]


async def test_the_startup_sequence_takes_a_second(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(3.0)
    assert [leds for _, leds in panel.frames] == [*STARTUP_FRAMES, frame(0)]
    assert [at_s for at_s, _ in panel.frames] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("button", list(Button))
async def test_a_press_ends_the_startup_sequence(button: Button, autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(0.5)
        await panel.press(button)
        await trio.sleep(0.4)
    after = [leds for at_s, leds in panel.frames if at_s >= 0.5]
    assert after == [frame(int(button is Button.MODE), playing=button is Button.PLAY)]


@pytest.mark.parametrize("action", [Action.HOLD, Action.RELEASE])
async def test_hold_and_release_do_not_end_it(action: Action, autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(0.5)
        await panel.press(*Button, action=action)
        await trio.sleep(1.0)
    assert [leds for _, leds in panel.frames] == [*STARTUP_FRAMES, frame(0)]


async def test_an_event_that_is_unset_does_not_end_it(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        await trio.sleep(0.5)
        assert await panel.send(DeviceEvent()) is False
        await trio.sleep(1.0)
    assert [leds for _, leds in panel.frames] == [*STARTUP_FRAMES, frame(0)]


async def test_a_stream_that_is_opened_again_shows_the_state(autojump_clock: MockClock) -> None:
    """There is one start-up sequence a connection."""
    async with open_home() as home, home.connect() as stub, trio.open_nursery() as nursery:
        async with home.device("other") as panel:
            await panel.attend("StatusStream", stub, "one", nursery)
            await trio.sleep(2.0)
            panel.frames.clear()
            await panel.attend("StatusStream", stub, "one", nursery)
            await trio.sleep(2.0)
        nursery.cancel_scope.cancel()
    assert panel.frames == [(2.0, frame(0))]


async def test_an_answer_that_never_comes_holds_back_the_rest(autojump_clock: MockClock) -> None:
    """For 5 s; then the newest frame is sent all the same, and nothing that was before it."""
    async with open_home() as home, home.device(answer=None) as panel:
        await trio.sleep(6.0)
        await panel.press(Button.MODE, Button.MODE)
        await trio.sleep(20.0)
    times = [0.0, ANSWER_S, 2 * ANSWER_S]
    assert panel.frames == list(zip(times, (STARTUP_FRAMES[0], frame(0), frame(2)), strict=True))


async def test_a_device_that_never_answers_is_not_buried(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device(answer=None) as panel:
        for _ in range(20):
            await trio.sleep(6.0)
            await panel.press(Button.MODE)
    assert len(panel.frames) == UNANSWERED_MAX


async def test_a_slow_device_gets_the_newest_frame(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device() as panel:
        panel.answer_s = 0.7
        await trio.sleep(1.5)
        await panel.press(Button.MODE, Button.MODE, Button.MODE)
        await trio.sleep(2.0)
    expected = [STARTUP_FRAMES[0], STARTUP_FRAMES[3], frame(0), frame(3)]
    assert [leds for _, leds in panel.frames] == expected
    assert [at_s for at_s, _ in panel.frames] == pytest.approx([0.0, 0.7, 1.4, 2.1])


async def test_an_error_text_is_logged_and_the_device_goes_on(
    logs: list[Any], autojump_clock: MockClock
) -> None:
    refusal = DeviceStatusResponse(status="out of light")
    async with open_home() as home, home.device(answer=refusal) as panel:
        await trio.sleep(0.1)
        panel.answer = SUCCESS
        await panel.press(Button.MODE)
        await trio.sleep(0.1)
    assert panel.shown == frame(1)
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert (line["device"], line["error"]) == ("one", "out of light")


async def test_an_answer_that_says_nothing_is_an_answer(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.device(answer=DeviceStatusResponse()) as panel:
        await panel.press(Button.MODE)
        await trio.sleep(0.1)
    assert panel.shown == frame(1)


async def test_a_device_that_ends_its_side_ends_the_call(autojump_clock: MockClock) -> None:
    """In good order, and it alone: the device still hears and is heard."""
    async with open_home() as home, home.device(answer=None) as panel:
        await trio.sleep(0.1)
        await panel.calls["StatusStream"].end()
        await trio.sleep(0.1)
        assert {name: status.name for name, status in panel.ended.items()} == {"StatusStream": "OK"}
        await panel.press(Button.PLAY)
        await trio.sleep(0.1)
        assert panel.heard
