"""A take that is cut at any point, or whose clip fails."""

from __future__ import annotations

import math

import pytest
import trio
from fake_sink import is_grammatical, make_clip
from stage import CLIP, Stage, data, played, stall_after
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.clips.clip import Clip
from audio_server.device.playback import ClipUnreadable, Stalled
from audio_server.wire.audio import SILENCE

CUT_POINTS_S = [0, 0.0001, 0.1, 0.22, 0.2201, 1.5, 1.6999, 1.7, 1.9, 1.9999]


@pytest.mark.parametrize("cut_s", CUT_POINTS_S)
async def test_cancelled_anywhere_it_closes(
    stage: Stage, autojump_clock: MockClock, cut_s: float
) -> None:
    with trio.move_on_at(cut_s):
        await stage.play()
    sent = len(stage.sink.packets)
    assert is_grammatical(stage.sink.flags)
    if cut_s < 1.7:
        assert stage.sink.packets[-1].data == SILENCE
    await trio.sleep(1)
    assert len(stage.sink.packets) == sent


@pytest.mark.parametrize("cut_s", CUT_POINTS_S)
async def test_cut_anywhere_it_sends_nothing_more(
    stage: Stage, autojump_clock: MockClock, cut_s: float
) -> None:
    take = stage.take()
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.stream)
        await trio.sleep_until(cut_s)
        await wait_all_tasks_blocked()
        take.cut()
        flags = stage.sink.flags
    assert is_grammatical(flags)
    assert stage.sink.flags == flags
    assert trio.current_time() <= 2.021


async def test_a_take_that_was_woken_but_cut_before_it_ran_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    take = stage.take()
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.stream)
        await wait_all_tasks_blocked()
        await stage.timer_wheel.sleep_until(0.22)  # woken in the same tick as the take
        take.cut()
        playing.cancel_scope.cancel()
    assert is_grammatical(stage.sink.flags)
    assert stage.sink.flags.endswith("E")


async def test_cut_after_its_last_packet_it_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    with trio.move_on_at(1.9):
        await stage.play()
    assert data(stage.sink) == played(CLIP)


async def test_cut_before_it_began_it_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    take = stage.take()
    take.cut()
    await take.play(stage.stream)
    assert stage.sink.flags == ""


async def test_cancelled_while_it_waits_for_room_it_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.sink.give(-math.inf)
    with trio.move_on_after(1):
        await stage.play()
    stage.sink.give(math.inf)
    await stage.stream.close()
    assert stage.sink.flags == ""


async def test_the_end_of_the_take_before_goes_first(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with stall_after(stage, 0.5), trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep_until(1)
        playing.cancel_scope.cancel()
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play, make_clip(3, "next"))
        await trio.sleep_until(2)
        assert stage.stream.is_open
        stage.sink.give(math.inf)
    assert stage.sink.flags == "S" + "m" * 36 + "E" + "SmE"
    assert trio.current_time() == pytest.approx(2.06)


async def test_a_take_behind_an_end_that_has_no_room_stalls(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with stall_after(stage, 0.5):
        with trio.move_on_at(1):
            await stage.play()
    with pytest.raises(Stalled):
        await stage.play()
    assert trio.current_time() == pytest.approx(31)
    stage.sink.give(math.inf)
    await stage.stream.close()
    assert stage.sink.flags == "S" + "m" * 36 + "E"


def nothing() -> None:
    """What is done when a take lacks something: here it is seen otherwise."""


async def test_what_was_begun_goes_on_in_play(stage: Stage, autojump_clock: MockClock) -> None:
    take = stage.take()
    take.begin(stage.stream, nothing)
    assert stage.sink.flags == "S" + "m" * 14
    await take.play(stage.stream)
    assert trio.current_time() == pytest.approx(2)
    assert data(stage.sink) == played(CLIP)


async def test_cut_once_it_never_closes_a_later_take(
    stage: Stage, autojump_clock: MockClock
) -> None:
    first, second = stage.take(), stage.take()
    first.begin(stage.stream, nothing)
    first.cut()
    second.begin(stage.stream, nothing)
    first.cut()
    assert stage.sink.flags == "S" + "m" * 14 + "E" + "S" + "m" * 14
    await second.play(stage.stream)


# -- clips that fail


class Broken(Clip):
    """A clip whose bytes cannot be had from some packet on."""

    def slice(self, start: int, stop: int) -> bytes:
        if stop > 30:
            raise OSError("the disk is gone")
        return super().slice(start, stop)


class BrokenAtOnce(Clip):
    """A clip that does not yield anything."""

    def slice(self, start: int, stop: int) -> bytes:
        raise OSError("the disk is gone")


async def test_a_clip_that_fails_midway_is_closed_and_told(
    stage: Stage, autojump_clock: MockClock
) -> None:
    clip = Broken(CLIP.name, CLIP.frames, CLIP.offsets)
    with pytest.raises(ClipUnreadable, match="'clip'") as caught:
        await stage.play(clip)
    assert isinstance(caught.value.__cause__, OSError)
    assert stage.sink.flags == "S" + "m" * 25 + "E"
    assert stage.sink.packets[-1].data == SILENCE


async def test_a_clip_that_fails_at_once_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    with pytest.raises(ClipUnreadable):
        await stage.play(BrokenAtOnce(CLIP.name, CLIP.frames, CLIP.offsets))
    assert stage.sink.flags == ""


async def test_a_clip_that_fails_as_it_is_begun_is_told_by_play(
    stage: Stage, autojump_clock: MockClock
) -> None:
    take = stage.take(BrokenAtOnce(CLIP.name, CLIP.frames, CLIP.offsets))
    take.begin(stage.stream, nothing)
    with pytest.raises(ClipUnreadable):
        await take.play(stage.stream)
    assert stage.sink.flags == ""
