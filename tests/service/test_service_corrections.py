"""A device that shows something else than it was sent."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from looking import STARTUP_S, WRONG, Tally, counted_home, rgb, since, the_device, warnings
from panel import state_of
from service_home import frame
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.device.led_readback import ROUND_S
from audio_server.service.status_stream import LOOKS_MAX


@pytest.fixture
def tally() -> Tally:
    return Tally()


async def test_a_device_that_shows_something_else_is_corrected_at_once(
    tally: Tally, logs: list[Any], autojump_clock: MockClock
) -> None:
    async with counted_home(tally) as home, home.device() as panel:
        panel.draw = lambda leds: WRONG
        await trio.sleep(0.9)
        assert tally.corrections == 0
        await trio.sleep(0.2)
        panel.draw = lambda leds: leds
        assert since(panel, 0.95) == [frame(0), frame(0)]
        assert (tally.corrections, the_device(home).report.corrections) == (1, 1)
        await trio.sleep(4 * ROUND_S)
    assert warnings(logs) == ["device shows other LEDs than it was sent, and is sent them again"]
    # The one correction came to a device that drew wrongly still, so there is a second.
    assert tally.corrections == 2
    assert len(panel.looks) == 3


@pytest.mark.parametrize("number", range(6))
async def test_each_led_but_the_devices_own_is_looked_at(
    number: int, tally: Tally, autojump_clock: MockClock
) -> None:
    async with counted_home(tally) as home, home.device() as panel:
        panel.draw = lambda leds: tuple(led ^ (n == number) << 8 for n, led in enumerate(leds))
        await trio.sleep(STARTUP_S + 0.5)
    assert tally.corrections == int(number > 0)


async def test_intensity_is_not_looked_at(tally: Tally, autojump_clock: MockClock) -> None:
    async with counted_home(tally) as home, home.device() as panel:
        panel.state = state_of(frame(0))
        assert panel.state.state.led_5.rgba == 0x000000FF != frame(0)[5]
        await trio.sleep(3 * ROUND_S)
        assert tally.corrections == 0
        assert rgb(the_device(home)) == [led >> 8 for led in frame(0)]


async def test_a_device_that_never_agrees_is_corrected_ever_more_rarely(
    tally: Tally, logs: list[Any], autojump_clock: MockClock
) -> None:
    async with counted_home(tally) as home, home.device() as panel:
        panel.draw = lambda leds: WRONG
        await trio.sleep(100 * ROUND_S)
    rounds = [round((at - panel.looks[1]) / ROUND_S) for at in panel.looks[1:]]
    assert rounds == [0, 2, 6, 14, 30, 46, 62, 78, 94]
    assert rounds[-1] - rounds[-2] == LOOKS_MAX
    assert tally.corrections == len(panel.looks)
    assert len(warnings(logs)) == 1


async def test_one_that_agrees_again_is_asked_as_often_as_before(
    tally: Tally, autojump_clock: MockClock
) -> None:
    async with counted_home(tally) as home, home.device() as panel:
        panel.draw = lambda leds: WRONG
        await trio.sleep(8 * ROUND_S)
        panel.draw = lambda leds: leds
        await panel.press(Button.CONNECT)
        await trio.sleep(8 * ROUND_S)
        before = len(panel.looks)
        await trio.sleep(8 * ROUND_S)
        assert len(panel.looks) == before + 8


async def test_what_has_changed_meanwhile_is_sent_instead(
    tally: Tally, autojump_clock: MockClock
) -> None:
    async with counted_home(tally) as home, home.device() as panel:
        await trio.sleep(0.9)
        panel.state = state_of(WRONG)
        panel.answer_s = 0.2
        await trio.sleep(0.35)
        assert len(panel.looks) == 1  # which is being answered
        await panel.press(Button.MODE)
        await trio.sleep(0.5)
    assert since(panel, 1.05) == [frame(1)]
