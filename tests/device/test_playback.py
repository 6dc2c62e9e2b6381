"""One take by exact times: its pace, its lead, its end."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import trio
from fake_sink import FakeSink, is_grammatical, make_clip, make_long_clip
from stage import CLIP, LEAD_S, Stage, data, played
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.audio_stream import AudioStream
from audio_server.device.pace import Pace
from audio_server.device.playback import Playback
from audio_server.device.timer_wheel import FULL, TimerWheel


async def test_sends_the_lead_at_once_and_tops_it_up_by_three_quarters(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.play()
    times: dict[float, int] = {}
    for packet in stage.sink.packets:
        at_s = round(packet.at_s, 9)
        times[at_s] = times.get(at_s, 0) + 1
    refills = {round(0.22 * wake, 9): 11 for wake in range(1, 8)}
    assert times == {0: 15} | refills | {1.7: 8}
    assert stage.sink.sends == len(times)


async def test_is_over_when_its_sound_has_ended(stage: Stage, autojump_clock: MockClock) -> None:
    assert await stage.play() == pytest.approx(2)
    assert stage.sink.flags == "S" + "m" * 98 + "E"
    assert data(stage.sink) == played(CLIP)


@pytest.mark.parametrize("packets", [1, 2, 14, 15, 16, 26, 27])
async def test_short_clips_take_as_long_as_they_sound(
    stage: Stage, autojump_clock: MockClock, packets: int
) -> None:
    assert await stage.play(make_clip(packets)) == pytest.approx(packets * 0.02)
    assert is_grammatical(stage.sink.flags)
    assert len(stage.sink.packets) == packets


async def test_a_clip_of_one_packet_opens_and_closes_with_it(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.play(make_clip(1))
    assert stage.sink.flags == "B"


@pytest.mark.parametrize("begin_s", [0, 0.0037, 12345.6789])
@pytest.mark.parametrize("lead_s", [0.04, 0.1, 0.3, 0.31, 1.0])
async def test_the_lead_bound_holds_at_every_packet(
    stage: Stage, autojump_clock: MockClock, begin_s: float, lead_s: float
) -> None:
    await trio.sleep(begin_s)
    taken_s = await stage.play(lead_s=lead_s)
    for index, packet in enumerate(stage.sink.packets):
        assert (index + 1) * 0.02 <= packet.at_s - begin_s + lead_s + 1e-6
        assert index * 0.02 >= packet.at_s - begin_s - 1e-6, "the player had run dry"
    assert 2 <= taken_s + 1e-6 < 2.021


async def test_the_cushion_is_never_thin(stage: Stage, autojump_clock: MockClock) -> None:
    await trio.sleep(0.0037)
    await stage.play()
    cushions = [index * 0.02 - (p.at_s - 0.0037) for index, p in enumerate(stage.sink.packets)]
    assert min(cushions[15:]) >= 0.06


async def test_ten_minutes_at_fifty_packets_a_second(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await trio.sleep(0.0037)
    clip = make_long_clip(30_000)
    taken_s = await stage.play(clip)
    assert 600 <= taken_s + 1e-6 < 600.021
    packets = stage.sink.packets
    for index, packet in enumerate(packets):
        assert (index + 1) * 0.02 - (packet.at_s - 0.0037) <= LEAD_S + 0.02
    last_refill_s = packets[-1].at_s - packets[15].at_s
    assert (len(packets) - 15 - 11) / last_refill_s == pytest.approx(50, abs=0.05)
    assert len(packets) / taken_s == pytest.approx(50, abs=0.005)


async def test_a_late_loop_is_made_up_for_within_the_lead(
    nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    """The server was busy for 240 ms: what is owed by now follows at once, and no more."""
    sink, timer_wheel = FakeSink(), TimerWheel()
    nursery.start_soon(timer_wheel.run)
    nursery.start_soon(Playback(CLIP, Pace(LEAD_S), timer_wheel).play, AudioStream(sink))
    await wait_all_tasks_blocked()
    mock_clock.jump(0.24)
    await wait_all_tasks_blocked()
    assert len(sink.packets) == 27
    mock_clock.jump(0.5)  # and now so long that the player ran dry: its clock stood still
    await wait_all_tasks_blocked()
    assert len(sink.packets) == 27 + 15


def test_a_lead_that_cannot_be_kept_up_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lead of 0\.03 s"):
        Pace(0.03)


async def test_position(stage: Stage, autojump_clock: MockClock) -> None:
    take = stage.take()
    assert take.position() == (100, 0, 0)
    async with trio.open_nursery() as playing:
        playing.start_soon(take.play, stage.stream)
        await wait_all_tasks_blocked()
        assert take.position() == (100, 15, 0)
        await trio.sleep(0.25)
        assert take.position()[:2] == (100, 26)
        assert take.position().played_s == pytest.approx(0.25)
    assert take.position()[:2] == (100, 100)
    assert take.position().played_s == pytest.approx(2)


def refill_times(sink: FakeSink, since_s: float = 0) -> list[float]:
    """When refills came, but for the last one, which comes when all that is left may be sent."""
    times = {round(packet.at_s, 6) for packet in sink.packets[15:]}
    return sorted(time for time in times if time >= since_s)[:-1]


async def test_a_few_takes_share_one_tick_whenever_they_begin(
    stage: Stage, autojump_clock: MockClock
) -> None:
    outlets = [FakeSink() for _ in range(FULL)]
    async with trio.open_nursery() as playing:
        for sink in outlets:
            playing.start_soon(stage.take().play, AudioStream(sink))
            await trio.sleep(0.0137)
    ticks = {time for sink in outlets for time in refill_times(sink)}
    assert ticks == {round(0.22 * tick, 6) for tick in range(1, len(ticks) + 1)}
    assert all(is_grammatical(sink.flags) for sink in outlets)


async def test_a_storm_of_plays_is_no_storm_of_refills(
    stage: Stage, autojump_clock: MockClock
) -> None:
    """No tick is fuller than it has to be, and the first refills come late."""
    takes = 3 * 11 * FULL
    outlets = [FakeSink() for _ in range(takes)]
    for sink in outlets:
        stage.take().begin(AudioStream(sink), lambda: None)
    await trio.sleep(2)
    firsts = Counter(refill_times(sink)[0] for sink in outlets)
    assert sorted(firsts) == [round(0.02 * tick, 6) for tick in range(1, 12)]
    assert set(firsts.values()) == {takes // 11}


async def test_the_first_refills_of_a_few_come_last(
    stage: Stage, autojump_clock: MockClock
) -> None:
    outlets = [FakeSink() for _ in range(FULL + 1)]
    for sink in outlets:
        stage.take().begin(AudioStream(sink), lambda: None)
    await trio.sleep(2)
    firsts = Counter(refill_times(sink)[0] for sink in outlets)
    assert firsts == {0.22: FULL, 0.2: 1}


@pytest.mark.parametrize("begin_s", [0.0037, 12345.6789, 987654.32])
async def test_a_take_stays_in_its_tick_though_wakes_are_late(
    nursery: trio.Nursery, mock_clock: MockClock, begin_s: float
) -> None:
    """A loop that is busy for some ticks must not make all takes be due together for good."""
    mock_clock.jump(begin_s)
    timer_wheel = TimerWheel()
    nursery.start_soon(timer_wheel.run)
    outlets = [FakeSink() for _ in range(2 * FULL)]
    for sink in outlets:
        Playback(make_long_clip(400), Pace(LEAD_S), timer_wheel).begin(
            AudioStream(sink), lambda: None
        )
    for step in range(400):
        await wait_all_tasks_blocked()
        mock_clock.jump(0.09 if step == 100 else 0.02)
    times = [refill_times(sink, since_s=begin_s + 3) for sink in outlets]
    for own in times:
        assert len(own) > 10
        assert [b - a for a, b in pairwise(own)] == pytest.approx([0.22] * (len(own) - 1))
    assert Counter(round(own[0], 3) for own in times).most_common(1)[0][1] == FULL


async def test_after_all_players_ran_dry_refills_are_spread_anew(
    nursery: trio.Nursery, mock_clock: MockClock
) -> None:
    timer_wheel, outlets = TimerWheel(), [FakeSink() for _ in range(3 * FULL)]
    nursery.start_soon(timer_wheel.run)
    for sink in outlets:
        Playback(make_long_clip(400), Pace(LEAD_S), timer_wheel).begin(
            AudioStream(sink), lambda: None
        )
    for step in range(200):
        await wait_all_tasks_blocked()
        mock_clock.jump(5.003 if step == 100 else 0.02)
    await wait_all_tasks_blocked()
    lasts = Counter(sink.packets[-1].at_s for sink in outlets)
    assert set(lasts.values()) == {FULL}


async def test_a_refill_goes_at_once_and_the_first_packets_with_what_else_is_due(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.play()
    assert stage.sink.at_once == stage.sink.sends - 1


@pytest.mark.parametrize(("late_s", "busy_s"), [(0, 0.01), (0, 0.05), (0.07, 0.015)])
async def test_a_refill_that_is_not_served_first_keeps_the_lead_all_the_same(
    stage: Stage, mock_clock: MockClock, late_s: float, busy_s: float
) -> None:
    """The time it is given was read before others were served, and its player may run dry by
    then; the whole lead is there only for who has played all that came before."""
    stage.take().begin(stage.stream, lambda: None)
    stage.timer_wheel.start(0.22, lambda _now: mock_clock.jump(busy_s), lambda: None)
    for wait_s in (0.22 + late_s, 0.235, 0.22, 0.22):
        await wait_all_tasks_blocked()
        mock_clock.jump(wait_s)
        await wait_all_tasks_blocked()
    played_s = at_s = 0.0
    for index, packet in enumerate(stage.sink.packets):
        played_s, at_s = min(played_s + packet.at_s - at_s, index * 0.02), packet.at_s
        assert (index + 1) * 0.02 <= played_s + LEAD_S + 1e-6
    assert len(stage.sink.packets) > 40
