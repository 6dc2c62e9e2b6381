"""Two devices never affect each other, however one behaves (section 3, last line)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from heard import LEAD_S, SOON_S
from house import DENSE, SMALL_WINDOW, MadeClips, MakeDevice, frame, play, select, wait_takes
from relay import Relay
from server_process import ServerProcess
from stock_device import StockDevice
from stock_session import message_of, method, open_channel

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import Call, EventSent


def test_a_device_does_not_notice_others_that_misbehave(
    make_device: MakeDevice, server: ServerProcess, clips: MadeClips
) -> None:
    """One does not read, one never answers, one is cut off, one floods, one comes and goes."""
    device, deaf, mute, comes = (make_device(options=SMALL_WINDOW) for _ in range(4))
    for each in (device, deaf, mute):
        each.switch_on()
    with Relay(server.port) as relay, flooding(make_device()):
        far = make_device()
        far.switch_on(target=relay.target)
        for each in (deaf, mute, far):
            select(each, DENSE)
            play(each)
        mute.answers = False
        deaf.pause_reading()
        relay.block()
        unaffected(device, comes, clips)
    mute.answers = True


@contextmanager
def flooding(device: StockDevice) -> Iterator[None]:
    """A device that sends events as fast as it can, and does not wait for acks."""
    with open_channel(device.target) as channel:
        events = (message_of(EventSent(button)) for button in endless(Button.MODE, Button.PLAY))
        stream = method(channel, Call.EVENTS)(events, metadata=[("device_id", device.id)])
        yield
        stream.cancel()


def endless(*buttons: Button) -> Iterator[Button]:
    while True:
        yield from buttons


def unaffected(device: StockDevice, comes: StockDevice, clips: MadeClips) -> None:
    """While another one comes and goes, acks come at once and sound comes whole, at its pace."""
    device.press(Button.PLAY)
    for _ in range(10):
        comes.switch_on()
        comes.press(Button.PLAY)
        device.press(Button.CONNECT)
        device.wait_answered()
        comes.switch_off()
    (take,) = wait_takes(device, 1)
    assert take.is_whole(clips.home)
    assert take.lead_s(device.acks[0].sent_s) <= LEAD_S
    assert take.late_s() <= SOON_S
    assert max(answer.at_s - answer.sent_s for answer in device.acks) < SOON_S
    device.wait(lambda: device.leds == frame(0))
    assert device.ended == {}


def test_the_state_of_one_is_not_the_state_of_another(
    make_device: MakeDevice, clips: MadeClips
) -> None:
    devices = [make_device() for _ in range(4)]
    for mode, device in enumerate(devices):
        device.press(*[Button.MODE] * mode)
        device.switch_on()
    for device in devices:
        device.wait_answered()
    for device in devices:
        play(device)
    for mode, (device, clip) in enumerate(
        zip(devices, (clips.home, clips.short, clips.single, clips.long), strict=True)
    ):
        device.wait(lambda: device.leds in {frame(mode), frame(mode, playing=True)})  # noqa: B023
        assert [packet.data for packet in device.packets] == clip[: len(device.packets)]
