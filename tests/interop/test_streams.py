"""Devices that open their calls in any order, only some of them, or late (section 2, 11)."""

from __future__ import annotations

import time
from itertools import permutations

import pytest
from heard import takes_of
from house import (
    SHORT,
    SINGLE,
    MadeClips,
    MakeDevice,
    play,
    select,
    wait_shown,
    wait_takes,
)

from audio_server.device.leds import ERROR
from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call


@pytest.mark.parametrize("calls", list(permutations(Call)))
def test_any_order_will_do(
    make_device: MakeDevice, clips: MadeClips, calls: tuple[Call, ...]
) -> None:
    device = make_device()
    device.press(*[Button.MODE] * SINGLE)
    device.switch_on(*calls)
    device.wait_answered()
    play(device)
    wait_shown(device, SINGLE)
    assert takes_of(device.packets)[0].is_whole(clips.single)


def test_one_stream_alone_will_do(make_device: MakeDevice) -> None:
    shows, presses, listens = make_device(), make_device(), make_device()
    shows.switch_on(Call.STATUS)
    presses.switch_on(Call.EVENTS)
    listens.switch_on(Call.AUDIO)
    presses.press(Button.MODE, Button.PLAY, Button.STOP, Button.MODE)
    presses.wait_answered()
    shows.wait(lambda: len(shows.frames) > 2)
    assert not shows.ended
    assert not presses.ended
    assert not listens.ended
    assert listens.packets == []
    presses.online.open(Call.STATUS)
    wait_shown(presses, 1)


def test_a_take_starts_when_its_stream_comes(make_device: MakeDevice, clips: MadeClips) -> None:
    """A press may be there before the audio stream is."""
    device = make_device()
    device.press(Button.MODE, Button.PLAY)
    device.switch_on(Call.EVENTS, Call.STATUS)
    device.wait_answered()
    device.online.open(Call.AUDIO)
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.short)


def test_a_take_whose_stream_does_not_come_never_starts(
    make_device: MakeDevice, clips: MadeClips
) -> None:
    """The device is told, and nothing plays later; the next Play does."""
    device = make_device()
    device.switch_on(Call.EVENTS, Call.STATUS)
    select(device, SHORT)
    device.press(Button.PLAY)
    wait_shown(device, SHORT, playing=True)
    device.wait(lambda: device.leds and device.leds[1] == ERROR)
    device.online.open(Call.AUDIO)
    time.sleep(0.3)
    assert device.packets == []
    device.press(Button.PLAY)
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.short)
    wait_shown(device, SHORT)


@pytest.mark.parametrize("table_bytes", [0, 100, 65_536])
def test_a_device_with_a_header_table_of_any_size(
    make_device: MakeDevice, table_bytes: int
) -> None:
    """A small one announces less than HTTP/2's 4,096 bytes, and often none at all."""
    device = make_device(options=[("grpc.http2.hpack_table_size.decoder", table_bytes)])
    for mode in (1, 2):
        device.switch_on()
        device.press(Button.MODE)
        device.wait_answered()
        wait_shown(device, mode)
        device.switch_off()
