"""A take whose device stops reading, for a while or for good."""

from __future__ import annotations

import math

import pytest
import trio
from fake_sink import FakeSink, is_grammatical
from stage import CLIP, Stage, data, drip, played, stall_after
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.audio_stream import AudioStream
from audio_server.device.playback import Stalled
from audio_server.wire.audio import SILENCE


async def test_a_stall_shorter_than_the_cushion_is_not_heard(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep(0.21)
        stage.sink.give(-math.inf)
        await trio.sleep(0.05)
        stage.sink.give(math.inf)
    assert trio.current_time() == pytest.approx(2)
    assert data(stage.sink) == played(CLIP)


async def test_after_a_long_stall_sound_goes_on_with_no_hole_and_no_rush(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep(0.5)  # 15 + 11 + 11 packets went: 740 ms of sound
        stage.sink.give(-math.inf)
        await trio.sleep(9.5)
        assert len(stage.sink.packets) == 37
        stage.sink.give(math.inf)
        await wait_all_tasks_blocked()
        assert len(stage.sink.packets) == 37 + 15
        await trio.sleep(0.2)
        assert len(stage.sink.packets) == 37 + 15
    assert trio.current_time() == pytest.approx(10 + 2 - 0.74)
    assert data(stage.sink) == played(CLIP)


async def test_what_is_stalled_before_it_begins_begins_late(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.sink.give(-math.inf)
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep(5)
        assert stage.sink.flags == ""
        stage.sink.give(math.inf)
    assert trio.current_time() == pytest.approx(7)


async def test_a_stall_of_thirty_seconds_ends_the_take_which_owes_its_end(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with stall_after(stage, 0.5):
        with pytest.raises(Stalled, match="30 s"):
            await stage.take().play(stage.stream)
    assert trio.current_time() == pytest.approx(30.66)  # the refill at 0.66 found no room
    assert stage.stream.is_open
    stage.sink.give(math.inf)
    await stage.stream.close()
    assert stage.sink.packets[-1].data == SILENCE
    assert is_grammatical(stage.sink.flags)


async def test_any_progress_begins_the_thirty_seconds_anew(
    stage: Stage, autojump_clock: MockClock
) -> None:
    one = len(CLIP.slice(40, 41))
    async with stall_after(stage, 0.5) as drips:
        drips.start_soon(drip, stage.sink, one, 29.0, 3)
        with pytest.raises(Stalled):
            await stage.take().play(stage.stream)
    assert len(stage.sink.packets) == 37 + 3
    assert trio.current_time() == pytest.approx(3 * 29 + 30)


class Teasing(FakeSink):
    """Says every second that there is room, once it has stalled; there is none."""

    async def wait_room(self) -> None:
        await trio.sleep(1)


async def test_being_told_of_room_that_is_not_there_is_no_progress(
    stage: Stage, autojump_clock: MockClock
) -> None:
    sink = Teasing(len(CLIP.slice(0, 15)))
    with pytest.raises(Stalled):
        await stage.take().play(AudioStream(sink))
    assert trio.current_time() == pytest.approx(30.22)


@pytest.mark.parametrize("room_bytes", [1, 59, 60, 61, 500])
async def test_a_tiny_room_gets_whole_packets_and_at_least_one(
    stage: Stage, autojump_clock: MockClock, room_bytes: int
) -> None:
    """`FakeSink` itself sees to it that no send is larger than it must be."""
    stage.sink.limit(0)
    async with trio.open_nursery() as drips:
        drips.start_soon(drip, stage.sink, room_bytes, 0.001, 100_000)
        await stage.play()
        drips.cancel_scope.cancel()
    assert data(stage.sink) == played(CLIP)
    assert is_grammatical(stage.sink.flags)
