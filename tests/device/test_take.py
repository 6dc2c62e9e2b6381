"""One take: exact times, stalls, cuts everywhere, clips that fail."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
from fake_outlet import FakeOutlet, is_grammatical, make_clip, make_long_clip
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.clips.clip import Clip
from audio_server.device.metronome import Metronome
from audio_server.device.take import ClipUnreadable, Pace, Stalled, Take
from audio_server.device.track import Track
from audio_server.wire.audio import SILENCE

LEAD_S = 0.3
CLIP = make_clip(100)
"""Two seconds."""


@dataclass
class Stage:
    """A take and all it needs."""

    metronome: Metronome
    outlet: FakeOutlet
    track: Track

    def take(self, clip: Clip = CLIP, lead_s: float = LEAD_S, stall_s: float = 30) -> Take:
        return Take(clip, Pace(lead_s, stall_s), self.metronome)

    async def play(self, clip: Clip = CLIP, lead_s: float = LEAD_S) -> float:
        """Play a clip to its end; how long that took."""
        begin = trio.current_time()
        await self.take(clip, lead_s).play(self.track)
        return trio.current_time() - begin


@pytest.fixture
def stage(nursery: trio.Nursery) -> Stage:
    metronome = Metronome()
    nursery.start_soon(metronome.run)
    outlet = FakeOutlet()
    return Stage(metronome, outlet, Track(outlet))


def data(outlet: FakeOutlet) -> list[bytes]:
    return [packet.data for packet in outlet.packets]


def played(clip: Clip) -> list[bytes]:
    """What a device hears of a clip that is played to its end."""
    whole = FakeOutlet()
    for index in range(clip.packets):
        whole.send_nowait(clip.slice(index, index + 1))
    return data(whole)


@asynccontextmanager
async def stall_after(stage: Stage, when: float) -> AsyncIterator[trio.Nursery]:
    """Meanwhile the outlet has no room from `when` on. Gives a nursery that ends with it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip, stage.outlet, -math.inf, when, 1)
        try:
            yield nursery
        finally:
            nursery.cancel_scope.cancel()


async def drip(outlet: FakeOutlet, room_bytes: float, interval_s: float, times: int) -> None:
    """Give a little room again and again."""
    for _ in range(times):
        await trio.sleep(interval_s)
        outlet.give(room_bytes)


# -- pace


async def test_sends_the_lead_at_once_and_tops_it_up_by_three_quarters(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.play()
    times: dict[float, int] = {}
    for packet in stage.outlet.packets:
        at_s = round(packet.at_s, 9)
        times[at_s] = times.get(at_s, 0) + 1
    refills = {round(0.22 * wake, 9): 11 for wake in range(1, 8)}
    assert times == {0: 15} | refills | {1.7: 8}
    assert stage.outlet.sends == len(times)


async def test_is_over_when_its_sound_has_ended(stage: Stage, autojump_clock: MockClock) -> None:
    assert await stage.play() == pytest.approx(2)
    assert stage.outlet.flags == "S" + "m" * 98 + "E"
    assert data(stage.outlet) == played(CLIP)


@pytest.mark.parametrize("packets", [1, 2, 14, 15, 16, 26, 27])
async def test_short_clips_take_as_long_as_they_sound(
    stage: Stage, autojump_clock: MockClock, packets: int
) -> None:
    assert await stage.play(make_clip(packets)) == pytest.approx(packets * 0.02)
    assert is_grammatical(stage.outlet.flags)
    assert len(stage.outlet.packets) == packets


async def test_a_clip_of_one_packet_opens_and_closes_with_it(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.play(make_clip(1))
    assert stage.outlet.flags == "B"


@pytest.mark.parametrize("begin_s", [0, 0.0037, 12345.6789])
@pytest.mark.parametrize("lead_s", [0.04, 0.1, 0.3, 0.31, 1.0])
async def test_the_lead_bound_holds_at_every_packet(
    stage: Stage, autojump_clock: MockClock, begin_s: float, lead_s: float
) -> None:
    await trio.sleep(begin_s)
    taken_s = await stage.play(lead_s=lead_s)
    for index, packet in enumerate(stage.outlet.packets):
        assert (index + 1) * 0.02 <= packet.at_s - begin_s + lead_s + 1e-6
        assert index * 0.02 >= packet.at_s - begin_s - 1e-6, "the player had run dry"
    assert 2 <= taken_s + 1e-6 < 2.011


async def test_the_cushion_is_never_thin(stage: Stage, autojump_clock: MockClock) -> None:
    await trio.sleep(0.0037)
    await stage.play()
    cushions = [index * 0.02 - (p.at_s - 0.0037) for index, p in enumerate(stage.outlet.packets)]
    assert min(cushions[15:]) >= 0.06


async def test_ten_minutes_at_fifty_packets_a_second(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await trio.sleep(0.0037)
    clip = make_long_clip(30_000)
    taken_s = await stage.play(clip)
    assert 600 <= taken_s + 1e-6 < 600.011
    packets = stage.outlet.packets
    for index, packet in enumerate(packets):
        assert (index + 1) * 0.02 - (packet.at_s - 0.0037) <= LEAD_S + 0.02
    last_refill_s = packets[-1].at_s - packets[15].at_s
    assert (len(packets) - 15 - 11) / last_refill_s == pytest.approx(50, abs=0.05)
    assert len(packets) / taken_s == pytest.approx(50, abs=0.005)


async def test_a_late_loop_is_made_up_for_within_the_lead(
    nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    """The server was busy for 240 ms: what is owed by now follows at once, and no more."""
    outlet, metronome = FakeOutlet(), Metronome()
    nursery.start_soon(metronome.run)
    nursery.start_soon(Take(CLIP, Pace(LEAD_S), metronome).play, Track(outlet))
    await wait_all_tasks_blocked()
    mock_clock.jump(0.24)
    await wait_all_tasks_blocked()
    assert len(outlet.packets) == 27
    mock_clock.jump(0.5)  # and now so long that the player ran dry: its clock stood still
    await wait_all_tasks_blocked()
    assert len(outlet.packets) == 27 + 15


def test_a_lead_that_cannot_be_kept_up_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lead of 0\.03 s"):
        Pace(0.03)


async def test_position(stage: Stage, autojump_clock: MockClock) -> None:
    take = stage.take()
    assert take.position() == (100, 0, 0)
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.track)
        await wait_all_tasks_blocked()
        assert take.position() == (100, 15, 0)
        await trio.sleep(0.25)
        assert take.position()[:2] == (100, 26)
        assert take.position().played_s == pytest.approx(0.25)
    assert take.position()[:2] == (100, 100)
    assert take.position().played_s == pytest.approx(2)


async def test_takes_that_begin_together_are_refilled_at_different_times(
    stage: Stage, autojump_clock: MockClock
) -> None:
    """A storm of Plays must not stay a storm of refills."""
    outlets = [FakeOutlet() for _ in range(11)]
    async with trio.open_nursery() as playing:
        for outlet in outlets:
            playing.start_soon(stage.take().play, Track(outlet))
    refills = {round(outlet.packets[15].at_s, 9) for outlet in outlets}
    assert len(refills) == 11
    assert max(refills) == pytest.approx(0.22)
    assert [len(outlet.packets) for outlet in outlets] == [100] * 11


# -- stalls


async def test_a_stall_shorter_than_the_cushion_is_not_heard(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep(0.21)
        stage.outlet.give(-math.inf)
        await trio.sleep(0.05)
        stage.outlet.give(math.inf)
    assert trio.current_time() == pytest.approx(2)
    assert data(stage.outlet) == played(CLIP)


async def test_after_a_long_stall_sound_goes_on_with_no_hole_and_no_rush(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep(0.5)  # 15 + 11 + 11 packets went: 740 ms of sound
        stage.outlet.give(-math.inf)
        await trio.sleep(9.5)
        assert len(stage.outlet.packets) == 37
        stage.outlet.give(math.inf)
        await wait_all_tasks_blocked()
        assert len(stage.outlet.packets) == 37 + 15
        await trio.sleep(0.2)
        assert len(stage.outlet.packets) == 37 + 15
    assert trio.current_time() == pytest.approx(10 + 2 - 0.74)
    assert data(stage.outlet) == played(CLIP)


async def test_what_is_stalled_before_it_begins_begins_late(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.outlet.give(-math.inf)
    async with trio.open_nursery() as playing:
        playing.start_soon(stage.play)
        await trio.sleep(5)
        assert stage.outlet.flags == ""
        stage.outlet.give(math.inf)
    assert trio.current_time() == pytest.approx(7)


async def test_a_stall_of_thirty_seconds_ends_the_take_which_owes_its_end(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async with stall_after(stage, 0.5):
        with pytest.raises(Stalled, match="30 s"):
            await stage.take().play(stage.track)
    assert trio.current_time() == pytest.approx(30.66)  # the refill at 0.66 found no room
    assert stage.track.is_open
    stage.outlet.give(math.inf)
    await stage.track.close()
    assert stage.outlet.packets[-1].data == SILENCE
    assert is_grammatical(stage.outlet.flags)


async def test_any_progress_begins_the_thirty_seconds_anew(
    stage: Stage, autojump_clock: MockClock
) -> None:
    one = len(CLIP.slice(40, 41))
    async with stall_after(stage, 0.5) as drips:
        drips.start_soon(drip, stage.outlet, one, 29.0, 3)
        with pytest.raises(Stalled):
            await stage.take().play(stage.track)
    assert len(stage.outlet.packets) == 37 + 3
    assert trio.current_time() == pytest.approx(3 * 29 + 30)


class Teasing(FakeOutlet):
    """Says every second that there is room, once it has stalled; there is none."""

    async def wait_room(self) -> None:
        await trio.sleep(1)


async def test_being_told_of_room_that_is_not_there_is_no_progress(
    stage: Stage, autojump_clock: MockClock
) -> None:
    outlet = Teasing(len(CLIP.slice(0, 15)))
    with pytest.raises(Stalled):
        await stage.take().play(Track(outlet))
    assert trio.current_time() == pytest.approx(30.22)


@pytest.mark.parametrize("room_bytes", [1, 59, 60, 61, 500])
async def test_a_tiny_room_gets_whole_packets_and_at_least_one(
    stage: Stage, autojump_clock: MockClock, room_bytes: int
) -> None:
    """`FakeOutlet` itself sees to it that no send is larger than it must be."""
    stage.outlet.limit(0)
    async with trio.open_nursery() as drips:
        drips.start_soon(drip, stage.outlet, room_bytes, 0.001, 100_000)
        await stage.play()
        drips.cancel_scope.cancel()
    assert data(stage.outlet) == played(CLIP)
    assert is_grammatical(stage.outlet.flags)


# -- cuts


CUT_POINTS_S = [0, 0.0001, 0.1, 0.22, 0.2201, 1.5, 1.6999, 1.7, 1.9, 1.9999]


@pytest.mark.parametrize("cut_s", CUT_POINTS_S)
async def test_cancelled_anywhere_it_closes(
    stage: Stage, autojump_clock: MockClock, cut_s: float
) -> None:
    with trio.move_on_at(cut_s):
        await stage.play()
    sent = len(stage.outlet.packets)
    assert is_grammatical(stage.outlet.flags)
    if cut_s < 1.7:
        assert stage.outlet.packets[-1].data == SILENCE
    await trio.sleep(1)
    assert len(stage.outlet.packets) == sent


@pytest.mark.parametrize("cut_s", CUT_POINTS_S)
async def test_cut_anywhere_it_sends_nothing_more(
    stage: Stage, autojump_clock: MockClock, cut_s: float
) -> None:
    take = stage.take()
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.track)
        await trio.sleep_until(cut_s)
        await wait_all_tasks_blocked()
        take.cut()
        flags = stage.outlet.flags
    assert is_grammatical(flags)
    assert stage.outlet.flags == flags
    assert trio.current_time() <= 2.01


async def test_a_take_that_was_woken_but_cut_before_it_ran_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    take = stage.take()
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.track)
        await wait_all_tasks_blocked()
        await stage.metronome.sleep_until(0.22)  # woken in the same tick as the take
        take.cut()
        playing.cancel_scope.cancel()
    assert is_grammatical(stage.outlet.flags)
    assert stage.outlet.flags.endswith("E")


async def test_cut_after_its_last_packet_it_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    with trio.move_on_at(1.9):
        await stage.play()
    assert data(stage.outlet) == played(CLIP)


async def test_cut_before_it_began_it_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    take = stage.take()
    take.cut()
    await take.play(stage.track)
    assert stage.outlet.flags == ""


async def test_cancelled_while_it_waits_for_room_it_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.outlet.give(-math.inf)
    with trio.move_on_after(1):
        await stage.play()
    stage.outlet.give(math.inf)
    await stage.track.close()
    assert stage.outlet.flags == ""


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
        assert stage.track.is_open
        stage.outlet.give(math.inf)
    assert stage.outlet.flags == "S" + "m" * 36 + "E" + "SmE"
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
    stage.outlet.give(math.inf)
    await stage.track.close()
    assert stage.outlet.flags == "S" + "m" * 36 + "E"


async def test_what_was_begun_goes_on_in_play(stage: Stage, autojump_clock: MockClock) -> None:
    take = stage.take()
    take.begin(stage.track)
    assert stage.outlet.flags == "S" + "m" * 14
    await take.play(stage.track)
    assert trio.current_time() == pytest.approx(2)
    assert data(stage.outlet) == played(CLIP)


async def test_cut_once_it_never_closes_a_later_take(
    stage: Stage, autojump_clock: MockClock
) -> None:
    first, second = stage.take(), stage.take()
    first.begin(stage.track)
    first.cut()
    second.begin(stage.track)
    first.cut()
    assert stage.outlet.flags == "S" + "m" * 14 + "E" + "S" + "m" * 14
    await second.play(stage.track)


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
    assert stage.outlet.flags == "S" + "m" * 25 + "E"
    assert stage.outlet.packets[-1].data == SILENCE


async def test_a_clip_that_fails_at_once_sends_nothing(
    stage: Stage, autojump_clock: MockClock
) -> None:
    with pytest.raises(ClipUnreadable):
        await stage.play(BrokenAtOnce(CLIP.name, CLIP.frames, CLIP.offsets))
    assert stage.outlet.flags == ""


async def test_a_clip_that_fails_as_it_is_begun_is_told_by_play(
    stage: Stage, autojump_clock: MockClock
) -> None:
    take = stage.take(BrokenAtOnce(CLIP.name, CLIP.frames, CLIP.offsets))
    take.begin(stage.track)
    with pytest.raises(ClipUnreadable):
        await take.play(stage.track)
    assert stage.outlet.flags == ""
