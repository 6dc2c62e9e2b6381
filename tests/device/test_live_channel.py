"""Live channels: at the edge, with no gap; a source that is fast, slow, gone, or never there."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import pytest
import trio
from announcements import Told
from fake_sink import FakeSink, Sent, is_grammatical, parse
from kit import Connection, running
from stage import Stage
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.behaviour import Button, Rules
from audio_server.device.leds import ERROR, IDLE, PLAYING
from audio_server.device.live_channel import ChannelBusy, LiveChannel
from audio_server.device.live_take import MARGIN, REFILL
from audio_server.device.playback import ClipUnreadable
from audio_server.device.registry import Devices
from audio_server.wire.audio import SILENCE

PACKET_S = 0.02


def packet(number: int) -> bytes:
    return b"\xf8" + number.to_bytes(4, "big")


def number_of(sent: Sent) -> int:
    return int.from_bytes(sent.data[1:], "big")


def numbers(sink: FakeSink) -> list[int]:
    """The packets of the source that came, by number; silence is left out."""
    return [int.from_bytes(p.data[1:], "big") for p in sink.packets if p.data != SILENCE]


def is_without_gap(heard: list[int]) -> bool:
    return all(later == number + 1 for number, later in pairwise(heard))


async def send(
    channel: LiveChannel, *, seconds: float = math.inf, every_s: float = PACKET_S
) -> None:
    """Send numbered packets at a pace, from the edge on."""
    start, begun = channel.edge, trio.current_time()
    with channel.sending():
        while (sent := channel.edge - start) * PACKET_S < seconds:
            await trio.sleep_until(begun + sent * every_s)
            channel.put(packet(channel.edge))


async def listen(stage: Stage, channel: LiveChannel, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await stage.take(channel).play(stage.stream)  # type: ignore[arg-type]


async def test_a_listener_joins_at_the_edge_and_misses_nothing(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio")
    nursery.start_soon(send, channel)
    await trio.sleep(5)
    at = channel.edge
    await listen(stage, channel, 60)
    heard = numbers(stage.sink)
    assert is_without_gap(heard)
    assert heard[0] == at - 15 - MARGIN
    assert len(heard) >= 60 * 50
    assert channel.inserted == channel.left_out == 0
    assert is_grammatical(stage.sink.flags)


async def test_a_packet_is_sent_within_150_ms_of_its_coming(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio")
    begun = trio.current_time()
    nursery.start_soon(send, channel)
    await trio.sleep(5)
    await listen(stage, channel, 60)
    delays = sorted(
        each.at_s - begun - int.from_bytes(each.data[1:], "big") * PACKET_S
        for each in stage.sink.packets[15:]
        if each.data != SILENCE
    )
    assert delays[int(len(delays) * 0.99)] <= (REFILL + MARGIN) * PACKET_S + 0.001 < 0.15


@pytest.mark.parametrize("drift", [500e-6, -500e-6])
async def test_an_hour_of_a_source_whose_clock_drifts(
    autojump_clock: MockClock, drift: float
) -> None:
    """A device asks for five packets each tenth of a second, the source runs by its own clock."""
    channel, heard = LiveChannel("radio"), FakeSink()
    with channel.sending():
        for number in range(100):
            channel.put(packet(number))
        take, sent = channel.begin_take(0.3), 0
        for tenth in range(36_000):
            while channel.edge < 100 + tenth * 5 * (1 + drift):
                channel.put(packet(channel.edge))
            stop = 15 + tenth * 5
            heard.send_nowait(take.slice(sent, stop))
            sent = stop
            assert channel.edge - numbers(heard)[-1] < 15
            heard.packets = heard.packets[-10:]
    off = 3600 * 50 * 500e-6
    fixed, other = channel.left_out, channel.inserted
    if drift < 0:
        fixed, other = other, fixed
    assert off - 10 < fixed < off + 10
    assert other <= 2 * MARGIN


@pytest.mark.parametrize("drift", [4000e-6, -4000e-6])
async def test_the_corrections_of_a_day(autojump_clock: MockClock, drift: float) -> None:
    """Eight times the drift for three hours asks for as many corrections as 500 ppm for a day: none
    is forgotten, none is made twice, and the delay at the end is that of the beginning."""
    channel = LiveChannel("radio")
    with channel.sending():
        for number in range(100):
            channel.put(packet(number))
        take, sent, behind = channel.begin_take(0.3), 0, []
        for tenth in range(3 * 36_000):
            while channel.edge < 100 + tenth * 5 * (1 + drift):
                channel.put(packet(channel.edge))
            stop = 15 + tenth * 5
            frames, sent = take.slice(sent, stop), stop
            if not tenth % 100 or tenth > 107_000:
                newest = [one for one in parse(frames) if one.data != SILENCE][-1:]
                behind += [channel.edge - number_of(one) for one in newest]
    off = 3 * 3600 * 50 * 4000e-6
    fixed, other = channel.left_out, channel.inserted
    if drift < 0:
        fixed, other = other, fixed
    assert off - 10 < fixed < off + 10
    assert other <= 2 * MARGIN
    assert max(behind) < 15


async def test_takes_of_one_tick_share_what_they_are_sent(autojump_clock: MockClock) -> None:
    channel = LiveChannel("radio")
    with channel.sending():
        for number in range(100):
            channel.put(packet(number))
        takes = [channel.begin_take(0.3) for _ in range(3)]
        first = [take.slice(0, 15) for take in takes]
        for number in range(100, 105):
            channel.put(packet(number))
        second = [take.slice(15, 20) for take in takes]
    assert first[0] == first[1] == first[2]
    assert second[0] is second[1] is second[2]
    assert takes[0].slice(16, 20) == second[0][-len(second[0]) * 4 // 5 :]
    assert takes[0].slice(17, 18) + takes[0].slice(18, 20) == takes[1].slice(17, 20)


async def test_a_channel_that_ends_ends_its_takes(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio", patience_s=2)
    nursery.start_soon(partial(send, channel, seconds=10))
    await trio.sleep(5)
    begun = trio.current_time()
    await stage.take(channel).play(stage.stream)  # type: ignore[arg-type]
    assert 7 <= trio.current_time() - begun < 7.5
    assert numbers(stage.sink)[-1] == 499
    assert stage.sink.packets[-1].is_end
    assert stage.sink.packets[-1].data == SILENCE
    assert is_grammatical(stage.sink.flags)


async def test_a_sender_that_comes_back_in_time_goes_on(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio", patience_s=2)

    async def twice() -> None:
        await send(channel, seconds=6)
        await trio.sleep(1)
        await send(channel)

    nursery.start_soon(twice)
    await trio.sleep(5)
    await listen(stage, channel, 20)
    heard = numbers(stage.sink)
    assert is_without_gap(heard)
    assert channel.inserted >= 40
    assert is_grammatical(stage.sink.flags)


async def test_a_listener_that_stalls_goes_on_at_the_edge(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio")
    nursery.start_soon(send, channel)
    await trio.sleep(5)
    async with trio.open_nursery() as inner:
        inner.start_soon(listen, stage, channel, 40)
        await trio.sleep(5)
        stage.sink.give(-math.inf)
        await trio.sleep(20)
        stage.sink.give(math.inf)
        await trio.sleep(5)
        assert channel.edge - numbers(stage.sink)[-1] <= 15 + MARGIN
    assert channel.left_out >= 19 * 50
    assert all(later > number for number, later in pairwise(numbers(stage.sink)))
    assert is_grammatical(stage.sink.flags)


async def test_a_listener_that_stalls_meets_another_programme(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio", patience_s=1)

    async def twice() -> None:
        await send(channel, seconds=7)
        await trio.sleep(2)
        await send(channel)

    nursery.start_soon(twice)
    await trio.sleep(5)
    async with trio.open_nursery() as inner:
        inner.start_soon(listen, stage, channel, 20)
        await trio.sleep(1)
        stage.sink.give(-math.inf)
        await trio.sleep(3.5)
        stage.sink.give(math.inf)
    heard = numbers(stage.sink)
    assert all(later > number for number, later in pairwise(heard))
    assert any(number >= 350 for number in heard)
    assert is_grammatical(stage.sink.flags)


async def test_a_channel_without_a_sender_cannot_be_played(
    autojump_clock: MockClock, stage: Stage
) -> None:
    with pytest.raises(ClipUnreadable, match=r"^no sound is sent to radio$"):
        await stage.take(LiveChannel("radio")).play(stage.stream)  # type: ignore[arg-type]
    assert stage.sink.packets == []


async def test_there_is_one_sender(autojump_clock: MockClock) -> None:
    channel = LiveChannel("radio")
    with channel.sending():
        assert channel.is_sending
        with pytest.raises(ChannelBusy), channel.sending():
            pass
        assert channel.is_sending
    assert not channel.is_sending


async def test_a_new_programme_does_not_begin_with_the_end_of_the_last(
    autojump_clock: MockClock,
) -> None:
    channel = LiveChannel("radio", patience_s=1)
    with channel.sending():
        channel.put(packet(0))
    await trio.sleep(2)
    with channel.sending():
        assert channel.oldest == channel.edge


async def test_after_an_announcement_it_goes_on_at_the_edge(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio")
    nursery.start_soon(send, channel)
    devices = Devices([channel], Rules(1), 0.3)
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        await device.open_events()
        audio = await device.open_audio()
        await trio.sleep(1)
        await device.press(Button.PLAY)
        await trio.sleep(2)
        before, at = len(audio.sink.packets), channel.edge
        assert device.device.announce(Told(packets=100))
        await trio.sleep(5)
        after = [
            int.from_bytes(each.data[1:], "big")
            for each in audio.sink.packets[before:]
            if each.data[:1] == b"\xf8" and each.data != SILENCE
        ]
    assert after[0] > at + 50
    assert after == list(range(after[0], after[0] + len(after)))
    assert channel.edge - after[-1] <= 15 + MARGIN
    assert is_grammatical(audio.sink.flags)


async def test_leds_show_a_live_take_and_one_that_cannot_be_had(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio", patience_s=1)
    devices = Devices([channel], Rules(1), 0.3)
    async with running(devices) as requests:
        device = Connection(devices, requests, 1)
        status = await device.open_status()
        await device.open_events()
        await device.open_audio()
        await device.press(Button.PLAY)
        await trio.sleep(0.5)
        assert status.shown.leds[1] == ERROR
        nursery.start_soon(partial(send, channel, seconds=5))
        await wait_all_tasks_blocked()
        await device.press(Button.PLAY)
        await trio.sleep(0.5)
        assert status.shown.leds[1] == PLAYING
        await trio.sleep(8)
        assert status.shown.leds[1] == IDLE
