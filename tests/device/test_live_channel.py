"""Live channels: at the edge, with no gap; a source that is fast, slow, gone, or never there."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
from announcements import Told
from fake_sink import FakeSink, is_grammatical
from kit import Connection, running
from stage import Stage
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.audio_stream import AudioStream
from audio_server.device.behaviour import Button, Rules
from audio_server.device.instrumentation import Instrumentation
from audio_server.device.leds import ERROR, IDLE, PLAYING
from audio_server.device.live_channel import ChannelBusy, LiveChannel
from audio_server.device.live_flow import EARLY, Counts
from audio_server.device.live_push import Batch
from audio_server.device.live_take import BATCH
from audio_server.device.playback import ClipUnreadable
from audio_server.device.registry import Devices
from audio_server.device.timer_wheel import CHUNK, TimerWheel
from audio_server.wire.audio import SILENCE

PACKET_S = 0.02


def packet(number: int) -> bytes:
    return b"\xf8" + number.to_bytes(4, "big")


def numbers(sink: FakeSink) -> list[int]:
    """The packets of the source that came, by number; silence is left out."""
    return [int.from_bytes(p.data[1:], "big") for p in sink.packets if p.data != SILENCE]


def is_without_gap(heard: list[int]) -> bool:
    return all(later == number + 1 for number, later in pairwise(heard))


async def send(
    channel: LiveChannel, *, seconds: float = math.inf, every_s: float = PACKET_S, first: int = 0
) -> None:
    """Send numbered packets at a pace, from a number on."""
    sent, begun = 0, trio.current_time()
    with channel.sending():
        while sent * PACKET_S < seconds:
            await trio.sleep_until(begun + sent * every_s)
            channel.put(packet(first + sent))
            sent += 1


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
    assert at - 15 <= heard[0] <= at - 15 + EARLY + 1
    assert len(heard) >= 60 * 50
    assert channel.counts == Counts()
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
    assert delays[-1] <= (BATCH - 1) * PACKET_S + 0.001 < 0.15


class Shared(FakeSink):
    """Keeps the very bytes that it was given at once."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []

    def send_at_once(self, frames: bytes) -> bool:
        self.given.append(frames)
        return super().send_at_once(frames)


async def test_all_takes_are_sent_the_same_bytes(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel, sinks = LiveChannel("radio"), [Shared() for _ in range(3)]
    nursery.start_soon(send, channel)
    await trio.sleep(5)
    for sink in sinks:
        nursery.start_soon(stage.take(channel).play, AudioStream(sink))  # type: ignore[arg-type]
    await trio.sleep(2)
    assert len(sinks[0].given) >= 12
    for batches in zip(*(sink.given for sink in sinks), strict=True):
        assert batches[0] is batches[1] is batches[2]
    assert all(sink.at_once == len(sink.given) for sink in sinks)


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
        await send(channel, first=300)

    nursery.start_soon(twice)
    await trio.sleep(5)
    await listen(stage, channel, 20)
    heard = numbers(stage.sink)
    assert is_without_gap(heard)
    assert 40 <= channel.counts.inserted <= 50
    assert channel.counts.underruns == 0  # there was no source
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
        assert channel.edge - numbers(stage.sink)[-1] <= BATCH
    assert channel.counts.skipped >= 19 * 50
    assert channel.counts.inserted == channel.counts.left_out == 0
    assert all(later > number for number, later in pairwise(numbers(stage.sink)))
    assert is_grammatical(stage.sink.flags)


async def test_a_listener_that_stalls_meets_another_programme(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery
) -> None:
    channel = LiveChannel("radio", patience_s=1)

    async def twice() -> None:
        await send(channel, seconds=7)
        await trio.sleep(2)
        await send(channel, first=350)

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
    assert channel.edge - after[-1] <= BATCH
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


class Turns:
    """A timer wheel that does nothing by itself."""

    def __init__(self) -> None:
        self.work: list[Callable[[], bool]] = []

    def soon(self, work: Callable[[], bool]) -> None:
        self.work.append(work)

    def start(self, *_: object) -> None:
        """No timer."""


async def test_packets_that_are_gone_when_their_turn_comes_are_sent_to_nobody(
    autojump_clock: MockClock,
) -> None:
    channel, turns, pushed = LiveChannel("radio", 1.0), Turns(), []

    def push(batch: Batch, now: float) -> bool:
        pushed.append(batch)
        return True

    with channel.sending():
        wheel: Any = turns
        for number in range(5):
            channel.put(packet(number))
        for _ in range(5 * (CHUNK + 1)):
            channel.start_push(5, push, lambda: None, wheel, Instrumentation())
        for number in range(5, 7):  # the first chunk is pushed to at once
            channel.put(packet(number))
    await trio.sleep(1.1)
    with channel.sending():  # clears the packets of the programme before
        while turns.work[0]():
            pass
    sent = [one.frames for one in pushed]
    assert len(sent) == 2 * (CHUNK + 1)
    assert all(sent[: CHUNK + 1])
    assert not any(sent[CHUNK + 1 :])


async def test_who_begins_after_all_others_have_gone_is_at_the_edge(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    """The wheel of those may have stopped with them."""
    channel = LiveChannel("radio")
    nursery.start_soon(send, channel)
    await trio.sleep(1)
    heard = []
    for _ in range(2):
        timer_wheel, sink = TimerWheel(), FakeSink()
        async with trio.open_nursery() as inner:
            inner.start_soon(timer_wheel.run)
            stage = Stage(timer_wheel, sink, AudioStream(sink))
            await listen(stage, channel, 2)
            inner.cancel_scope.cancel()
        heard.append(numbers(sink))
        await trio.sleep(10)
    assert all(map(is_without_gap, heard))
    assert all(len(one) >= 95 for one in heard)
    assert channel.counts == Counts()


@pytest.mark.parametrize("lead_s", [0.04, 0.06, 0.1, 0.2, 0.3])
async def test_the_lead_holds_where_a_late_source_catches_up(
    autojump_clock: MockClock, stage: Stage, nursery: trio.Nursery, lead_s: float
) -> None:
    channel = LiveChannel("radio")

    async def late() -> None:
        await send(channel, seconds=2)
        await trio.sleep(0.07)
        with channel.sending():
            for number in range(100, 104):
                channel.put(packet(number))
        await send(channel, first=104)

    nursery.start_soon(late)
    await trio.sleep(2.035)
    with trio.move_on_after(3):
        await stage.take(channel, lead_s).play(stage.stream)  # type: ignore[arg-type]
    played_s, then = 0.0, stage.sink.packets[0].at_s
    for index, one in enumerate(stage.sink.packets[:-1]):
        played_s, then = min(played_s + one.at_s - then, index * PACKET_S), one.at_s
        assert (index + 1) * PACKET_S - played_s <= lead_s + 1e-6
    assert len(stage.sink.packets) > 140
