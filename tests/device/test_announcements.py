"""Announcements on a device: what is heard, in order, and what is reported."""

from __future__ import annotations

import math

import pytest
import trio
from announcements import Told
from fake_sink import FakeSink, is_grammatical, make_clip
from kit import CLIPS, Connection, connected, heard
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.announcing import WAITING_MAX, Hearing
from audio_server.device.audio_source import PacketSource
from audio_server.device.behaviour import Action, Button, State
from audio_server.device.leds import ANNOUNCING, IDLE, PLAYING
from audio_server.wire.audio import PACKET_MS, SILENCE

PLAY, STOP, MODE = Button.PLAY, Button.STOP, Button.MODE
WAITING, SPEAKS, HEARD, CUT = Hearing.WAITING, Hearing.PLAYING, Hearing.HEARD, Hearing.CUT


def ahead_s(sink: FakeSink) -> float:
    """The most sound that a device which plays all it gets ever had before it."""
    most, until = 0.0, -math.inf
    for packet in sink.packets:
        until = max(until, packet.at_s) + PACKET_MS / 1000
        most = max(most, until - packet.at_s)
    return most


def sound_of(sink: FakeSink, name: str) -> list[bytes]:
    """The packets of a source in the order in which they came, over all its takes."""
    packets = [one.data for one in sink.packets if one.data != SILENCE]
    return [data for data in packets if data.split(b":")[0] == name.encode()]


def whole(packets: int, name: str) -> list[bytes]:
    return list(make_clip(packets, name).sound())


def led_1(device: Connection) -> int:
    return device.device.display.status.frame.leds[1]


async def test_an_idle_device_hears_it_and_is_idle_again(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        note = Told()
        assert device.device.announce(note)
        assert heard(audio.sink) == []
        assert len(audio.sink.packets) == 15, "the lead leaves with the announcement"
        assert device.state == State(announcing=True)
        assert led_1(device) == ANNOUNCING
        await trio.sleep(0.79)
        assert note.hearings == [SPEAKS]
        await trio.sleep(0.03)
        assert note.hearings == [SPEAKS, HEARD]
        assert heard(audio.sink) == ["note 40"]
        assert device.state == State()
        assert led_1(device) == IDLE


@pytest.mark.parametrize("after_s", [0, 0.01, 0.3, 0.5, 0.69, 0.71, 0.99])
async def test_a_clip_goes_on_where_it_was_heard(autojump_clock: MockClock, after_s: float) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(after_s)
        note = Told()
        device.device.announce(note)
        assert led_1(device) == ANNOUNCING
        assert device.state == State(playing=0, announcing=True)
        await trio.sleep(3)
        assert sound_of(audio.sink, "clip0") == whole(50, "clip0")
        assert sound_of(audio.sink, "note") == whole(40, "note")
        assert is_grammatical(audio.sink.flags)
        assert device.state == State()
        assert note.hearings == [SPEAKS, HEARD]


async def test_what_goes_on_begins_when_the_announcement_has_been_heard(
    autojump_clock: MockClock,
) -> None:
    """A device plays what it has of the clip before it plays the announcement."""
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, PLAY)
        await trio.sleep(0.02)
        begun = trio.current_time()
        note = Told()
        device.device.announce(note)
        before = len([one for one in audio.sink.packets if b"clip1" in one.data])
        left_s = (before + 1) * 0.02 - 0.02
        await trio.sleep(left_s + 0.8 - 0.01)
        assert note.hearings == [SPEAKS]
        await trio.sleep(0.04)
        assert note.hearings == [SPEAKS, HEARD]
        resumed = [one for one in audio.sink.packets if one.is_start][-1]
        assert resumed.at_s - begun == pytest.approx(left_s + 0.8, abs=0.021)
        assert led_1(device) == PLAYING


async def test_it_waits_its_turn_by_priority(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        first, second, third = Told("a"), Told("b"), Told("c", priority=0)
        above = Told("d", priority=3)
        for one in (first, second, third):
            device.device.announce(one)
        assert second.hearings == third.hearings == [WAITING]
        device.device.announce(above)
        assert first.reports[-1][1:] == (CUT, "another announcement replaced it")
        await trio.sleep(6)
        assert [take.split()[0] for take in heard(audio.sink)] == ["a", "d", "b", "c"]
        assert third.hearings == [WAITING, SPEAKS, HEARD]
        assert device.state == State()


async def test_one_too_many_is_refused(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_audio()
        notes = [Told(f"n{number}") for number in range(WAITING_MAX + 2)]
        taken = [device.device.announce(note) for note in notes]
        assert taken == [True] * (WAITING_MAX + 1) + [False]
        assert notes[-1].reports == []


async def test_it_is_refused_without_an_audio_stream(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_events()
        note = Told()
        assert not device.device.announce(note)
        assert note.reports == []
        assert device.state == State()


@pytest.mark.parametrize("playing", [False, True])
async def test_stop_ends_it_and_all_that_waits_and_what_played(
    autojump_clock: MockClock, playing: bool
) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, *([PLAY] if playing else []))
        note, other = Told(), Told("other")
        device.device.announce(note)
        device.device.announce(other)
        await trio.sleep(0.2)
        await device.press(STOP)
        assert device.state == State()
        assert led_1(device) == IDLE
        assert note.reports[-1][1:] == other.reports[-1][1:] == (CUT, "Stop was pressed")
        packets = len(audio.sink.packets)
        await trio.sleep(9)
        assert len(audio.sink.packets) == packets
        assert heard(audio.sink)[-1] == "note 16 cut"
        assert is_grammatical(audio.sink.flags)


async def test_an_operators_stop_ends_it(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_audio()
        await device.press(MODE, PLAY)
        note = Told()
        device.device.announce(note)
        device.device.stop()
        assert device.state == State(1)
        assert note.reports[-1][1:] == (CUT, "an operator stopped it")


async def test_play_starts_its_clip_after_the_announcement(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.1)
        note = Told()
        device.device.announce(note)
        await device.press(MODE, PLAY)
        assert device.state == State(1, playing=1, announcing=True)
        await trio.sleep(4)
        assert heard(audio.sink)[1:] == ["note 40", "clip1 100"]
        assert note.hearings == [SPEAKS, HEARD]


@pytest.mark.parametrize(
    ("setting", "then"), [("keep", "clip0"), ("stop", None), ("switch", "clip1")]
)
async def test_mode_acts_on_what_is_held(
    autojump_clock: MockClock, setting: str, then: str | None
) -> None:
    async with connected(mode_while_playing=setting) as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.1)
        note = Told()
        device.device.announce(note)
        await device.press(MODE)
        assert device.state.mode == 1
        assert device.device.display.status.frame.leds[2] != 0, "the mode is shown at once"
        await trio.sleep(4)
        assert note.hearings == [SPEAKS, HEARD]
        assert [take.split()[0] for take in heard(audio.sink)][2:] == ([then] if then else [])
        assert device.state == State(1)


async def test_the_queue_goes_on_behind_what_was_held(autojump_clock: MockClock) -> None:
    async with connected(play_while_playing="queue") as device:
        audio = await device.open_audio()
        await device.press(PLAY, MODE, PLAY)
        await trio.sleep(0.1)
        device.device.announce(Told())
        await device.press(MODE, PLAY)
        await trio.sleep(9)
        names = [take.split()[0] for take in heard(audio.sink)]
        assert names == ["clip0", "note", "clip0", "clip1", "clip2"]


async def test_an_operators_play_waits_for_the_end(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        device.device.announce(Told())
        device.device.play(2)
        assert device.state == State(playing=2, announcing=True)
        await trio.sleep(6)
        assert heard(audio.sink) == ["note 40", "clip2 150"]


async def test_the_loss_of_the_stream_ends_all_of_it(autojump_clock: MockClock) -> None:
    async with connected() as device:
        await device.open_status()
        audio = await device.open_audio()
        await device.press(PLAY)
        note, other = Told(), Told("other")
        device.device.announce(note)
        device.device.announce(other)
        await audio.drop()
        assert note.reports[-1][1:] == other.reports[-1][1:]
        assert note.reports[-1][1:] == (Hearing.LOST, "the audio stream ended")
        assert device.state == State()
        again = await device.open_audio()
        await trio.sleep(5)
        assert again.sink.packets == []


async def test_a_device_that_goes_has_not_heard_it(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        note = Told()
        device.device.announce(note)
        await audio.drop()
        assert note.hearings == [SPEAKS, Hearing.LOST]


async def test_a_device_that_does_not_read_is_reported_as_stalled(
    autojump_clock: MockClock,
) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.1)
        audio.sink.give(-math.inf)
        note, other = Told(), Told("other")
        device.device.announce(note)
        device.device.announce(other)
        await trio.sleep(31)
        assert note.reports[-1][1:] == (Hearing.STALLED, "no packet taken for 30 s")
        assert other.hearings == [WAITING, Hearing.STALLED]
        assert device.state == State()
        assert led_1(device) == IDLE
        audio.sink.give(math.inf)
        await trio.sleep(5)
        assert is_grammatical(audio.sink.flags)
        assert sound_of(audio.sink, "note") == []


async def test_a_device_that_reads_again_hears_all_of_it(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.1)
        audio.sink.give(-math.inf)
        note = Told()
        device.device.announce(note)
        await trio.sleep(10)
        assert note.hearings == [SPEAKS]
        audio.sink.give(math.inf)
        await trio.sleep(5)
        assert note.hearings == [SPEAKS, HEARD]
        assert sound_of(audio.sink, "note") == whole(40, "note")
        assert sound_of(audio.sink, "clip0") == whole(50, "clip0")


async def test_one_that_cannot_be_read_gives_way_to_what_was_held(
    autojump_clock: MockClock,
) -> None:
    def broken(position: int) -> bytes:
        if position > 20:
            raise OSError("gone")
        return b"note:x"

    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        await trio.sleep(0.1)
        note = Told()
        note.source = PacketSource("note", broken, 40)  # type: ignore[assignment]
        device.device.announce(note)
        await trio.sleep(4)
        assert note.reports[-1][1:] == (Hearing.FAILED, "clip 'note' cannot be read")
        assert sound_of(audio.sink, "clip0") == whole(50, "clip0")
        assert is_grammatical(audio.sink.flags)
        assert device.state == State()


async def test_a_shutdown_cuts_it_properly(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        note = Told()
        device.device.announce(note)
        await trio.sleep(0.1)
        device.device.end_take()
        assert note.reports[-1][1:] == (CUT, "the server is stopping")
        assert is_grammatical(audio.sink.flags)


async def test_replacing_again_and_again_piles_up_no_more_than_two_leads(
    autojump_clock: MockClock,
) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(PLAY)
        for priority in range(10):
            device.device.announce(Told(f"n{priority}", priority=priority))
            await trio.sleep(0.01)
        await trio.sleep(9)
        assert is_grammatical(audio.sink.flags)
        assert ahead_s(audio.sink) <= 2 * 0.3 + 2 * 0.02 + 1e-6
        assert sound_of(audio.sink, "n9") == whole(40, "n9")


async def test_short_ones_in_a_row_pile_up_nothing(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, MODE, MODE, PLAY)
        for number in range(30):
            device.device.announce(Told(f"n{number}", packets=1))
            await trio.sleep(0.05)
        await trio.sleep(9)
        assert ahead_s(audio.sink) <= 2 * 0.3 + 2 * 0.02 + 1e-6
        assert sound_of(audio.sink, "clip3") == whole(200, "clip3")
        assert is_grammatical(audio.sink.flags)


async def test_clips_that_change_meanwhile(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        await device.press(MODE, MODE, MODE)
        note = Told()
        device.device.announce(note)
        await device.press(PLAY)
        device._devices.change_clips(CLIPS[:2])
        assert device.state == State(3, announcing=True)
        await trio.sleep(4)
        assert heard(audio.sink) == ["note 40"]
        assert device.state == State(3)


async def test_hold_and_release_and_connect_change_nothing(autojump_clock: MockClock) -> None:
    async with connected() as device:
        audio = await device.open_audio()
        note = Told()
        device.device.announce(note)
        for button in Button:
            await device.press(button, action=Action.HOLD)
            await device.press(button, action=Action.RELEASE)
        await device.press(Button.CONNECT)
        await wait_all_tasks_blocked()
        assert device.device.display.status.frame.serial == 1
        await trio.sleep(2)
        assert note.hearings == [SPEAKS, HEARD]
        assert heard(audio.sink) == ["note 40"]
