"""A take that was begun goes on without a task, for as long as it lacks nothing."""

from __future__ import annotations

import math

import pytest
import trio
from fake_sink import FakeSink, make_clip
from stage import CLIP, Stage, data, played
from trio.testing import MockClock

from audio_server.clips.clip import Clip
from audio_server.device.audio_stream import AudioStream
from audio_server.device.playback import Playback
from audio_server.wire.audio import SILENCE


class Told:
    """When a take said that it lacks something."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def __call__(self) -> None:
        self.at.append(trio.current_time())


async def test_refills_come_when_a_task_would_send_them(
    stage: Stage, autojump_clock: MockClock
) -> None:
    other, told = FakeSink(), Told()
    take = stage.take()
    take.begin(stage.stream, told)
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.take().play, AudioStream(other))
        await trio.sleep(5)
    assert data(stage.sink) == data(other) == played(CLIP)
    times, expected = ({round(p.at_s, 6) for p in o.packets} for o in (stage.sink, other))
    # Their phases differ, by which their refills come a little sooner or later.
    assert len(times) == pytest.approx(len(expected), abs=1)
    assert told.at == [max(times)]
    assert not take.is_driven


async def test_it_is_driven_from_its_first_packets_to_its_last(
    stage: Stage, autojump_clock: MockClock
) -> None:
    told = Told()
    take = stage.take()
    assert not take.is_driven
    take.begin(stage.stream, told)
    assert take.is_driven
    await trio.sleep(1.5)
    assert take.is_driven
    await trio.sleep(0.5)
    assert (take.is_driven, len(told.at)) == (False, 1)
    await take.play(stage.stream)
    assert trio.current_time() == pytest.approx(2)


async def test_a_clip_that_is_sent_at_once_is_not_driven(
    stage: Stage, autojump_clock: MockClock
) -> None:
    told = Told()
    take = stage.take(make_clip(15))
    take.begin(stage.stream, told)
    assert not take.is_driven
    await trio.sleep(1)
    assert told.at == []


async def test_what_finds_no_room_is_left_to_play(stage: Stage, autojump_clock: MockClock) -> None:
    told = Told()
    take = stage.take()
    take.begin(stage.stream, told)
    await trio.sleep(0.5)
    stage.sink.give(-math.inf)
    await trio.sleep(0.5)
    assert len(told.at) == 1
    assert not take.is_driven
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.stream)
        await trio.sleep(1)
        stage.sink.give(math.inf)
    assert data(stage.sink) == played(CLIP)


async def test_no_room_at_all_is_told_nobody(stage: Stage, autojump_clock: MockClock) -> None:
    told = Told()
    stage.sink.give(-math.inf)
    take = stage.take()
    take.begin(stage.stream, told)
    assert (take.is_driven, told.at) == (False, [])


@pytest.mark.parametrize("cut_s", [0.0, 0.1, 0.22, 1.0, 1.69])
async def test_cut_it_is_closed_and_nothing_follows(
    stage: Stage, cut_s: float, autojump_clock: MockClock
) -> None:
    told = Told()
    take = stage.take()
    take.begin(stage.stream, told)
    await trio.sleep(cut_s)
    take.cut()
    sent = len(stage.sink.packets)
    await trio.sleep(5)
    assert stage.sink.packets[-1].data == SILENCE
    assert len(stage.sink.packets) == sent
    assert (take.is_driven, told.at) == (False, [])


class Torn(Clip):
    """A clip whose bytes cannot be had from its second half on."""

    def slice(self, start: int, stop: int) -> bytes:
        if stop > self.packets // 2:
            raise OSError("the disk is gone")
        return super().slice(start, stop)


async def test_a_clip_that_fails_midway_is_left_to_play(
    stage: Stage, autojump_clock: MockClock
) -> None:
    told = Told()
    take: Playback = stage.take(Torn(CLIP.name, CLIP.frames, CLIP.offsets))
    take.begin(stage.stream, told)
    await trio.sleep(2)
    assert (take.is_driven, len(told.at)) == (False, 1)
