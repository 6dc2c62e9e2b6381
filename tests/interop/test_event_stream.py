"""`EventStream` as a stock device sees it (device contract, section 2, 4-6)."""

from __future__ import annotations

from heard import SOON_S
from house import HOME, MakeDevice, frame, play, select, wait_shown, wait_takes
from stock_device import StockDevice
from stock_session import message_of, method, open_channel

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import Call, EventSent


def test_one_event_one_ack_at_once(device: StockDevice) -> None:
    """Lock-step, through every button, while it plays too: a late ack freezes them all."""
    order = [Button.MODE, Button.PLAY, Button.CONNECT, Button.PLAY, Button.MODE, Button.STOP]
    device.press(*order * 8)
    device.wait_answered()
    assert [answer.event.button for answer in device.acks] == order * 8
    assert all(answer.ack for answer in device.acks)
    assert max(answer.at_s - answer.sent_s for answer in device.acks) < SOON_S


def test_acks_come_in_order_to_a_device_that_does_not_wait(make_device: MakeDevice) -> None:
    """One that is not in lock-step: which are false tells in which order they were answered."""
    device = make_device()
    buttons = [Button.NONE if n % 3 == 0 else Button.CONNECT for n in range(48)]
    with open_channel(device.target) as channel:
        events = iter([message_of(EventSent(button)) for button in buttons])
        acks = method(channel, Call.EVENTS)(events, metadata=[("device_id", device.id)])
        assert [response.ack for response in acks] == [bool(button) for button in buttons]


def test_presses_made_off_line_count_once_it_connects(make_device: MakeDevice) -> None:
    device = make_device()
    device.press(Button.MODE, Button.MODE, Button.MODE, Button.STOP, Button.MODE, Button.MODE)
    device.switch_on()
    device.wait_answered()
    wait_shown(device, 2)
    device.switch_off()
    device.press(Button.MODE)
    device.switch_on()
    device.wait_answered()
    wait_shown(device, 3)
    assert [answer.ack for answer in device.acks] == [True] * 7


def test_hold_and_release_are_acked_and_do_nothing(device: StockDevice) -> None:
    select(device, 3)
    for action in (Action.HOLD, Action.RELEASE):
        device.press(*list(Button)[1:], action=action)
    device.wait_answered()
    assert [answer.ack for answer in device.acks[3:]] == [True] * 8
    device.press(Button.CONNECT)
    device.wait_answered()
    wait_shown(device, 3)
    assert device.packets == []


def test_an_event_that_is_unset_is_refused_and_changes_nothing(device: StockDevice) -> None:
    """It would read as a press of button 1, which sends the LEDs again."""
    select(device, HOME + 1)
    wait_shown(device, HOME + 1)
    before = len(device.frames)
    device.press(*[Button.NONE] * 5, Button.MODE)
    device.wait_answered()
    wait_shown(device, HOME + 2)
    assert [answer.ack for answer in device.acks[1:]] == [False] * 5 + [True]
    assert [shown.leds for shown in device.frames[before:]] == [frame(HOME + 2)]


def test_presses_of_one_stream_are_applied_in_order(device: StockDevice) -> None:
    """Stop, then Mode, then Play: the take is the one of mode 1."""
    select(device, 4)
    device.press(Button.STOP, Button.MODE, Button.PLAY)
    (take,) = wait_takes(device, 1)
    assert len(take.packets) == 20


def test_acks_go_on_while_it_plays(device: StockDevice) -> None:
    play(device)
    device.press(*[Button.CONNECT] * 40)
    device.wait_answered()
    assert max(answer.at_s - answer.sent_s for answer in device.acks) < SOON_S
    assert not device.packets[-1].is_end
