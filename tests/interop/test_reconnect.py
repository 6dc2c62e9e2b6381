"""A device that goes and comes back (device contract, section 2, 10, and "Reconnect")."""

from __future__ import annotations

import random
import time
from functools import partial

import grpc
from heard import takes_of
from house import (
    DENSE,
    LONG,
    SHORT,
    SINGLE,
    SMALL_WINDOW,
    MadeClips,
    MakeDevice,
    at_once,
    frame,
    play,
    select,
    settle,
    wait_shown,
    wait_takes,
)
from relay import Relay
from server_process import ServerProcess
from stock_device import StockDevice

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call

QUIET_S = 0.4
"""Longer than the lead: by then a take that nobody asked for would be heard."""


def works(device: StockDevice, clips: MadeClips, mode: int = 0) -> None:
    """From `mode`: home, to mode 1, and its clip from first to last."""
    takes = len([packet for packet in device.packets if packet.is_end])
    wait_shown(device, mode)
    device.press(Button.STOP, Button.MODE, Button.PLAY)
    assert wait_takes(device, takes + 1)[-1].is_whole(clips.short)
    wait_shown(device, SHORT)
    assert device.ended == {}


def is_home(device: StockDevice, mode: int) -> None:
    """The start-up runs, then it shows its mode, idle; nothing was heard."""
    device.wait(lambda: len({frame.leds for frame in device.frames}) >= 3)
    settle(device)
    wait_shown(device, mode)
    assert device.packets == []


def test_the_mode_survives_and_the_sound_does_not(make_device: MakeDevice) -> None:
    device = make_device()
    device.switch_on()
    select(device, LONG)
    play(device, packets=20)
    device.switch_off()
    device.switch_on()
    is_home(device, LONG)
    device.press(Button.MODE)
    device.wait_answered()
    wait_shown(device, LONG + 1)


def test_off_and_on_within_milliseconds_100_times(
    make_device: MakeDevice, clips: MadeClips
) -> None:
    """At any moment of a connection's life; after it all the device is as good as new."""
    device, moment = make_device(), random.Random(1)
    for number in range(100):
        before = len(device.frames)
        device.switch_on(*moment.sample(list(Call), k=3))
        device.press(*moment.choices(list(Button)[1:], k=number % 2))
        match number % 4:
            case 1:
                device.wait(lambda: device.frames[before:])  # noqa: B023
            case 2:
                time.sleep(moment.uniform(0.0, 0.02))
            case 3:
                device.wait_answered()
        device.switch_off()
        takes_of(device.packets)
    device.switch_on()
    device.wait_answered()
    device.press(Button.STOP, Button.MODE)
    device.wait_answered()
    works(device, clips, SHORT)


def test_on_again_before_the_old_connection_has_ended(
    make_device: MakeDevice, clips: MadeClips
) -> None:
    """The new connection is there first; the farewell of the old one comes later, or never."""
    device = make_device()
    device.switch_on()
    left = []
    for _ in range(20):
        play(device)
        left.append(device.leave())
        device.switch_on()
        device.wait_open()
    for session in left:
        session.close()
    device.press(Button.STOP)
    device.wait_answered()
    works(device, clips)


def test_a_new_connection_takes_over_at_once(make_device: MakeDevice, clips: MadeClips) -> None:
    """The old calls end, its take properly; what the old device does later changes nothing."""
    old = make_device()
    old.switch_on()
    select(old, LONG)
    play(old, packets=20)
    new = make_device(old.id)
    new.switch_on()
    old.wait(lambda: len(old.ended) == 3)
    assert set(old.ended.values()) == {grpc.StatusCode.ABORTED}
    (take,) = takes_of(old.packets)
    assert take.is_cut(clips.long)
    is_home(new, LONG)
    old.press(Button.STOP, Button.PLAY)
    works(new, clips, LONG)
    assert [answer.ack for answer in old.acks[LONG + 1 :]] == []


def test_calls_that_are_opened_again_on_the_older_connection_win(
    make_device: MakeDevice, clips: MadeClips
) -> None:
    """Behind a proxy the next call may come on any connection."""
    old = make_device()
    old.switch_on()
    select(old, SHORT)
    new = make_device(old.id)
    new.switch_on()
    old.wait(lambda: len(old.ended) == 3)
    before = len(old.frames)
    old.ended.clear()
    for call in Call:
        old.online.open(call)
    new.wait(lambda: len(new.ended) == 3)
    assert set(new.ended.values()) == {grpc.StatusCode.ABORTED}
    old.wait(lambda: old.frames[before:])
    works(old, clips, SHORT)


def test_a_connection_that_is_half_dead_is_taken_over(
    make_device: MakeDevice, server: ServerProcess, clips: MadeClips
) -> None:
    """Nothing gets through to the old device or from it; when it does, it is too late."""
    with Relay(server.port) as relay:
        old = make_device(options=SMALL_WINDOW)
        old.switch_on(target=relay.target)
        select(old, DENSE)
        play(old, packets=20)
        relay.block()
        old.press(Button.STOP)
        new = make_device(old.id)
        new.switch_on()
        is_home(new, DENSE)
        relay.unblock()
        old.wait(lambda: len(old.ended) == 3)
        works(new, clips, DENSE)
        (take,) = takes_of(old.packets)
        assert take.is_cut(clips.dense) or take.is_beginning(clips.dense)


def test_one_lost_stream_leaves_the_others(make_device: MakeDevice, clips: MadeClips) -> None:
    scenes = (audio_is_lost, status_is_lost, events_are_lost)
    at_once(*(partial(scene, make_device(), clips) for scene in scenes))


def audio_is_lost(device: StockDevice, clips: MadeClips) -> None:
    """What played is over, and nothing resumes on the new stream."""
    device.switch_on()
    select(device, LONG)
    play(device, packets=20)
    device.online.cancel(Call.AUDIO)
    wait_shown(device, LONG)
    device.online.open(Call.AUDIO)
    device.press(Button.MODE)
    device.wait_answered()
    wait_shown(device, LONG + 1)
    time.sleep(QUIET_S)
    assert device.packets == []
    assert takes_of(device.streams[0])[0].is_beginning(clips.long)
    works(device, clips, LONG + 1)


def status_is_lost(device: StockDevice, clips: MadeClips) -> None:
    """It plays on, and every press counts; the new stream shows the state."""
    device.switch_on()
    select(device, SHORT)
    play(device)
    device.online.cancel(Call.STATUS)
    device.press(Button.MODE)
    device.wait_answered()
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.short)
    before = len(device.frames)
    device.online.open(Call.STATUS)
    device.wait(lambda: device.frames[before:])
    works(device, clips, SINGLE)


def events_are_lost(device: StockDevice, clips: MadeClips) -> None:
    """It plays on and shows the end; a press goes out on the new stream."""
    device.switch_on()
    select(device, SHORT)
    play(device)
    device.online.cancel(Call.EVENTS)
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.short)
    wait_shown(device, SHORT)
    device.press(Button.MODE)
    device.online.open(Call.EVENTS)
    device.wait_answered()
    works(device, clips, SINGLE)


def test_a_call_that_is_opened_again_takes_over(make_device: MakeDevice, clips: MadeClips) -> None:
    """On the same connection, without the first having been cancelled; three times."""
    at_once(*(partial(is_opened_again, make_device(), clips, call) for call in Call))


def is_opened_again(device: StockDevice, clips: MadeClips, call: Call) -> None:
    device.switch_on()
    select(device, SHORT)
    for _ in range(3):
        device.online.open(call)
    device.wait(lambda: len(device.replaced) == 3)
    assert device.replaced == [(call, grpc.StatusCode.ABORTED)] * 3
    device.press(Button.STOP, Button.MODE)
    device.wait_answered()
    device.wait(lambda: device.leds == frame(SHORT))
    works(device, clips, SHORT)
