"""A device of the load side: what it sees, whatever way the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.wire.audio import CUT, SILENCE, frame_packet
from audio_server.wire.comms_pb2 import (
    DeviceEventResponse,
    DeviceStatusRequest,
    DeviceStatusSet,
    RGBAColor,
)
from benchmarks.frames import (
    AUDIO,
    DARK,
    EVENTS,
    LEDS_TAKEN,
    PRESSES,
    SETTINGS_ACK,
    STATUS,
    Button,
    Kind,
    frame,
    message,
    pong,
    state,
)
from benchmarks.player import Player
from benchmarks.tally import Tally

START = frame_packet(SILENCE, is_start=True)
MIDDLE = frame_packet(b"\xf8" * 160)
WHOLE = frame_packet(SILENCE, is_start=True, is_end=True)


def audio(*messages: bytes) -> bytes:
    return frame(Kind.DATA, 0, AUDIO, b"".join(messages))


def ack(*, good: bool = True) -> bytes:
    return frame(Kind.DATA, 0, EVENTS, message(DeviceEventResponse(ack=good).SerializeToString()))


@pytest.fixture
def player() -> Player:
    return Player(Tally())


def feed(player: Player, data: bytes, now: float) -> None:
    data = player.rest + data
    player.feed(data, len(data), now)


def sent(player: Player) -> bytes:
    data = bytes(player.out)
    player.out.clear()
    return data


def test_play_is_timed_to_its_ack_and_its_first_packet(player: Player) -> None:
    player.press(1.0, Button.PLAY)
    assert sent(player) == PRESSES[Button.PLAY]
    feed(player, ack(), 1.25)
    feed(player, audio(START, MIDDLE), 1.5)
    assert list(player.tally.acks) == [0.25]
    assert list(player.tally.firsts) == [0.5]
    assert player.playing
    assert not player.waits
    assert not player.tally.faults


def test_stop_is_timed_to_is_end(player: Player) -> None:
    player.press(1.0, Button.PLAY)
    feed(player, ack() + audio(START, MIDDLE), 1.0)
    player.press(2.0, Button.STOP)
    feed(player, ack() + audio(MIDDLE, CUT), 2.5)
    assert list(player.tally.ends) == [0.5]
    assert not player.playing
    assert not player.tally.faults


def leds() -> bytes:
    request = DeviceStatusRequest(set=DeviceStatusSet(led_1=RGBAColor(rgba=1)))
    return frame(Kind.DATA, 0, STATUS, message(request.SerializeToString()))


def test_mode_is_timed_to_its_leds_and_holds_nothing_up(player: Player) -> None:
    """From the first of two presses whose frames became one."""
    player.press(1.0, Button.MODE, Button.MODE)
    feed(player, ack(), 1.25)
    assert sent(player) == 2 * PRESSES[Button.MODE]
    feed(player, ack() + leds(), 2.0)
    feed(player, leds(), 3.0)
    assert list(player.tally.leds) == [1.0]


def test_a_device_is_ready_with_the_first_question_or_leds() -> None:
    player = Player(Tally(), opened_at=1.0)
    feed(player, leds() + leds(), 1.5)
    assert player.ready
    assert list(player.tally.ready) == [0.5]


def test_a_script_waits_for_each_effect(player: Player) -> None:
    player.press(1.0, Button.PLAY, Button.MODE, Button.STOP)
    assert sent(player) == PRESSES[Button.PLAY]
    feed(player, ack(), 1.1)
    assert sent(player) == b""
    feed(player, audio(START), 1.2)
    assert sent(player) == PRESSES[Button.MODE]
    feed(player, ack(), 1.3)
    assert sent(player) == PRESSES[Button.STOP]


def test_lateness_counts_from_the_first_packet_of_the_take(player: Player) -> None:
    player.press(10.0, Button.PLAY)
    feed(player, ack() + audio(START, MIDDLE, MIDDLE), 10.0)
    feed(player, audio(MIDDLE), 10.075)
    assert list(player.tally.run_packets) == [3, 1]
    assert list(player.tally.run_lateness) == [0.0, pytest.approx(0.015)]


def test_a_new_take_counts_anew(player: Player) -> None:
    player.press(10.0, Button.PLAY)
    feed(player, ack() + audio(START, MIDDLE), 10.0)
    player.press(11.0, Button.PLAY)
    feed(player, ack() + audio(CUT, START, MIDDLE), 11.0)
    assert list(player.tally.run_packets) == [2, 1, 2]
    assert player.tally.run_lateness[2] == 0.0
    assert not player.tally.faults


def test_a_clip_of_one_packet_is_a_whole_take(player: Player) -> None:
    player.press(1.0, Button.PLAY)
    feed(player, ack() + audio(WHOLE), 1.0)
    assert not player.playing
    assert list(player.tally.run_packets) == [1]
    assert not player.tally.faults


@given(cuts=st.lists(st.integers(1, 40), min_size=1), frames=st.integers(1, 9))
def test_bytes_may_be_cut_anywhere(cuts: list[int], frames: int) -> None:
    messages = b"".join([START, *[MIDDLE] * 5, CUT])
    size = -(-len(messages) // frames)
    pieces = [messages[begin : begin + size] for begin in range(0, len(messages), size)]
    data = ack() + b"".join(frame(Kind.DATA, 0, AUDIO, piece) for piece in pieces)
    player = Player(Tally())
    player.press(1.0, Button.PLAY)
    turn = 0
    while data:
        cut = cuts[turn % len(cuts)]
        feed(player, data[:cut], 1.0 + turn)
        data, turn = data[cut:], turn + 1
    assert sum(player.tally.run_packets) == 7
    assert len(player.tally.acks) == len(player.tally.firsts) == 1
    assert not player.playing
    assert not player.tally.faults


def test_padding_is_no_sound(player: Player) -> None:
    player.press(1.0, Button.PLAY)
    feed(player, ack() + frame(Kind.DATA, 0x8, AUDIO, b"\x03" + START + MIDDLE + b"\0\0\0"), 1.0)
    assert sum(player.tally.run_packets) == 2
    assert not player.tally.faults


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (audio(MIDDLE), "a packet outside a take"),
        (audio(CUT), "a packet outside a take"),
        (audio(START), "a take that nobody asked for"),
        (audio(message(b""), MIDDLE), "a packet without sound"),
        (ack(), "an ack that is none, or that nobody waits for"),
        (frame(Kind.HEADERS, 0x5, AUDIO, b"x"), "the server ended a call"),
        (frame(Kind.RST_STREAM, 0, AUDIO, b"\0\0\0\x02"), "the server sent RST_STREAM"),
        (frame(Kind.GOAWAY, 0, 0, bytes(8)), "the server sent GOAWAY"),
    ],
)
def test_faults_are_counted(player: Player, wrong: bytes, fault: str) -> None:
    feed(player, wrong + audio(), 1.0)
    assert fault in player.tally.faults


def test_a_start_inside_a_take_is_a_fault(player: Player) -> None:
    player.press(1.0, Button.PLAY)
    feed(player, ack() + audio(START, MIDDLE, START), 1.0)
    assert player.tally.faults["is_start inside a take"] == 1


def test_an_ack_that_says_no_is_a_fault(player: Player) -> None:
    player.press(1.0, Button.PLAY)
    feed(player, ack(good=False), 1.0)
    assert player.tally.faults.total() == 1
    assert not player.tally.acks


def test_what_the_server_asks_is_answered(player: Player) -> None:
    leds = DeviceStatusSet(led_1=RGBAColor(rgba=1))
    look, light = DeviceStatusRequest(get=True), DeviceStatusRequest(set=leds)
    assert not player.ready
    for request in (look, light, look):
        feed(player, frame(Kind.DATA, 0, STATUS, message(request.SerializeToString())), 1.0)
    assert player.ready
    shown = state(light.SerializeToString()[1:])
    assert sent(player) == state(DARK) + LEDS_TAKEN + shown


def test_settings_and_pings_are_answered_once(player: Player) -> None:
    feed(player, frame(Kind.SETTINGS, 0, 0) + frame(Kind.SETTINGS, 1, 0), 1.0)
    feed(player, frame(Kind.PING, 0, 0, b"12345678") + pong(b"87654321"), 1.0)
    assert sent(player) == SETTINGS_ACK + pong(b"12345678")
