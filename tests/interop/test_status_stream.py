"""`StatusStream` as a stock device sees it (device contract, section 2, 1-3, and LEDs)."""

from __future__ import annotations

import time
from itertools import pairwise

from heard import SOON_S
from house import MODES, SHORT, MakeDevice, frame, play, select, settle, wait_shown
from stock_device import StockDevice

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call

STARTUP_S = 1.0


def test_the_server_speaks_first(make_device: MakeDevice) -> None:
    """The device says nothing before it is asked, and then it is asked at once."""
    device = make_device()
    device.switch_on(Call.STATUS)
    device.wait(lambda: device.frames, within_s=30.0)


def test_the_leds_run_a_startup_sequence_and_then_show_the_state(make_device: MakeDevice) -> None:
    device = make_device()
    switched_on_s = time.monotonic()
    device.switch_on()
    wait_shown(device, 0)
    shown = device.frames
    assert len({frame.leds for frame in shown}) > 3
    assert 0.7 * STARTUP_S < shown[-1].at_s - switched_on_s < STARTUP_S + SOON_S


def test_every_set_has_all_six_leds(device: StockDevice) -> None:
    """Through the start-up sequence, all modes, and playing: one left out would turn black."""
    device.wait(lambda: len(device.frames) > 2)
    for mode in range(1, MODES):
        device.press(Button.MODE)
        wait_shown(device, mode)
    play(device)
    wait_shown(device, MODES - 1, playing=True)
    device.press(Button.STOP)
    wait_shown(device, 0)
    assert [frame for frame in device.frames if None in frame.leds or len(frame.leds) != 6] == []


def test_a_press_ends_the_startup_sequence(device: StockDevice) -> None:
    device.wait(lambda: device.frames)
    device.press(Button.MODE)
    device.wait_answered()
    wait_shown(device, 1)
    assert device.frames[-1].at_s - device.frames[0].at_s < 0.8 * STARTUP_S
    device.press(Button.MODE)
    wait_shown(device, 2)
    assert [shown.leds for shown in device.frames[-2:]] == [frame(1), frame(2)]


def test_each_mode_lights_one_shape_in_one_colour(device: StockDevice) -> None:
    """None for mode 0, LEDs 2-5 for modes 1-4, and a second colour for mode 5."""
    settle(device)
    wait_shown(device, 0)
    shapes = []
    for mode in range(1, MODES + 1):
        assert device.leds is not None
        shapes.append(device.leds[2:])
        device.press(Button.MODE)
        wait_shown(device, mode % MODES)
    lit = [[index for index, led in enumerate(shape) if led] for shape in shapes]
    assert lit == [[], [0], [1], [2], [3], [0]]
    assert shapes[5][0] != shapes[1][0]


def test_led_1_tells_idle_from_playing(device: StockDevice) -> None:
    """It says "playing" until the sound has ended, not until its last packet was sent."""
    select(device, SHORT)
    play(device)
    wait_shown(device, SHORT, playing=True)
    device.wait(lambda: device.packets[-1].is_end)
    wait_shown(device, SHORT)
    assert frame(SHORT)[1] != frame(SHORT, playing=True)[1]
    assert device.frames[-1].at_s - device.acks[-1].sent_s > 0.4


def test_connect_sends_the_leds_again(device: StockDevice) -> None:
    settle(device)
    wait_shown(device, 0)
    for _ in range(3):
        before = len(device.frames)
        device.press(Button.CONNECT)
        device.wait(lambda: len(device.frames) > before)  # noqa: B023
        assert device.leds == frame(0)


def test_a_device_is_asked_for_its_leds_once_it_shows_the_state(device: StockDevice) -> None:
    """It answers without intensity, and LED 0 is its own: nothing is to be corrected."""
    device.wait(lambda: device.asked)
    wait_shown(device, 0)
    shown = len(device.frames)
    device.press(Button.MODE)
    wait_shown(device, 1)
    assert (len(device.asked), len(device.frames)) == (1, shown + 1)


def test_a_device_whose_leds_are_not_as_sent_is_corrected(make_device: MakeDevice) -> None:
    """Within a second of its answer, and then it is let alone for a while."""
    device = make_device()
    device.draws_wrongly = True
    device.switch_on()
    device.wait(lambda: device.asked)
    device.wait(lambda: [shown.leds for shown in device.frames[-2:]] == [frame(0), frame(0)])
    assert device.frames[-1].at_s - device.asked[0] < 1.0
    device.press(Button.MODE, Button.STOP)
    device.wait_answered()
    wait_shown(device, 0)
    assert len(device.asked) == 1


def test_a_slow_device_gets_the_newest_frame_and_no_backlog(device: StockDevice) -> None:
    """While it owes an answer it is sent nothing; then the latest state and nothing older."""
    settle(device)
    wait_shown(device, 0)
    device.answers = False
    device.press(*[Button.MODE] * 2, *[Button.CONNECT] * 20, *[Button.MODE] * 2)
    device.wait_answered()
    before = len(device.frames)
    with device.changed:
        device.answers = True
        device.changed.notify_all()
    wait_shown(device, 4)
    shown = [shown.leds for shown in device.frames[before - 1 :]]
    # The first may be sent before the second press is taken or after it.
    assert shown in ([frame(1), frame(4)], [frame(2), frame(4)])
    assert all(one.at_s <= other.at_s for one, other in pairwise(device.frames))
