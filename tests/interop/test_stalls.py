"""A device that does not read its sound: back-pressure is normal (section 2, 9; section 3).

While it plays a finished recording a stock device does not read audio. The windows of HTTP/2 fill,
and the take waits; nothing else does.
"""

from __future__ import annotations

import time
from functools import partial

import pytest
from heard import LEAD_S, PACKET_S, SOON_S, takes_of
from house import (
    DENSE,
    LARGE_WINDOW,
    LARGE_WINDOW_BYTES,
    SMALL_WINDOW,
    SMALL_WINDOW_BYTES,
    MadeClips,
    MakeDevice,
    at_once,
    frame,
    play,
    select,
    wait_shown,
    wait_takes,
    window,
)
from stock_device import StockDevice
from stock_session import Options

from audio_server.simulator.buttons import Button

STALLED_S = 1.2
PACKET_BYTES = 600
"""What a packet of the dense clip has, about."""


def stall(device: StockDevice) -> None:
    """Play the dense clip, and stop reading in the middle of it."""
    select(device, DENSE)
    play(device, packets=20)
    device.pause_reading()


def test_leds_and_acks_go_on_and_the_sound_goes_on_where_it_was(
    make_device: MakeDevice, clips: MadeClips
) -> None:
    """No hole and no rush, whether the device holds little that it has not read, or more."""
    sizes = (SMALL_WINDOW_BYTES, LARGE_WINDOW_BYTES)
    held = {make_device(options=window(size)): 1.5 * size for size in sizes}
    for device in held:
        device.switch_on()
        stall(device)
    time.sleep(STALLED_S)
    at_once(*(partial(lives_and_goes_on, *each, clips) for each in held.items()))


def lives_and_goes_on(device: StockDevice, held_bytes: float, clips: MadeClips) -> None:
    lives_while_stalled(device)
    goes_on_where_it_was(device, clips, held_bytes)


def lives_while_stalled(device: StockDevice) -> None:
    """Every press is acked and shown, and the device has read nothing."""
    before, acks = len(device.packets), len(device.acks)
    for mode in (5, 0, 1):
        device.press(Button.MODE, Button.CONNECT)
        wait_shown(device, mode, playing=True)
    device.wait_answered()
    assert max(answer.at_s - answer.sent_s for answer in device.acks[acks:]) < SOON_S
    assert len(device.packets) <= before + 1


def goes_on_where_it_was(device: StockDevice, clips: MadeClips, held_bytes: float) -> None:
    """What lay in the window comes at once, then sound at its pace, all of it in order."""
    before, resumed_s = len(device.packets), time.monotonic()
    device.resume_reading()
    device.wait(lambda: len(device.packets) >= before + held_bytes / PACKET_BYTES + 45)
    device.press(Button.STOP)
    (take,) = wait_takes(device, 1)
    assert take.is_cut(clips.dense)
    waiting = held_bytes / PACKET_BYTES + LEAD_S / PACKET_S
    rush = max(
        index - (packet.at_s - resumed_s) / PACKET_S
        for index, packet in enumerate(take.packets[before:])
    )
    assert rush <= waiting + LEAD_S / PACKET_S


@pytest.mark.parametrize("options", [LARGE_WINDOW, SMALL_WINDOW])
def test_stop_is_acked_and_shown_while_it_does_not_read(
    make_device: MakeDevice, clips: MadeClips, options: Options
) -> None:
    """The end comes when the device reads again, and nothing that was not on its way by then."""
    device = make_device(options=options)
    device.switch_on()
    stall(device)
    device.press(Button.STOP)
    device.wait_answered()
    wait_shown(device, 0)
    played, stopped = device.acks[-2:]
    device.resume_reading()
    (take,) = wait_takes(device, 1)
    assert take.is_cut(clips.dense)
    assert len(take.packets) * PACKET_S <= stopped.at_s - played.sent_s + LEAD_S + PACKET_S


def test_play_over_play_while_it_does_not_read(make_device: MakeDevice, clips: MadeClips) -> None:
    """The old take is closed before the newest begins; those between were never heard."""
    device = make_device(options=SMALL_WINDOW)
    device.switch_on()
    stall(device)
    time.sleep(0.3)
    # grpcio gives windows back together with what it sends next: that shall be no Play.
    device.press(Button.CONNECT)
    device.wait_answered()
    time.sleep(0.3)
    device.press(*[Button.PLAY] * 5, Button.STOP, Button.MODE, Button.PLAY)
    device.wait_answered()
    wait_shown(device, 1, playing=True)
    device.resume_reading()
    takes = wait_takes(device, 2)
    assert takes[0].is_cut(clips.dense)
    assert takes[1].is_whole(clips.short)


def test_a_device_that_reads_a_take_at_a_time(make_device: MakeDevice, clips: MadeClips) -> None:
    """As the reference client: it plays what is whole, and reads the next take after that."""
    device = make_device(options=SMALL_WINDOW)
    device.switch_on()
    select(device, 1)
    for _ in range(2):
        play(device)
        device.wait(lambda: device.packets[-1].is_end)
        device.pause_reading()
        device.wait(lambda: device.leds == frame(1))
        device.resume_reading()
    assert [take.is_whole(clips.short) for take in takes_of(device.packets)] == [True] * 2
