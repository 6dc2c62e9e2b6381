"""The oracle finds each broken rule, and nothing in what an honest server does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from honest_server import DATA, QUIET, HonestServer, Session, Trace, frame_of, take
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import (
    Call,
    CallLost,
    CallReopened,
    Connected,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
    ReadingPaused,
    ReadingResumed,
    RequestUnclear,
)
from audio_server.simulator.led_table import stock_error_frame, stock_frame
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.verdict import Limits, Rule

CONNECT, MODE, STOP, PLAY = Button.CONNECT, Button.MODE, Button.STOP, Button.PLAY
CLIPS = (50, 500, 100, 1, 30)


def judge(
    trace: Sequence[tuple[float, Event]],
    *,
    modes: int | None = None,
    until_s: float | None = None,
    others: bool = False,
) -> list[Rule]:
    """The rules that a trace breaks until then (or a while after its end), ticked every 50 ms."""
    oracle = Oracle(Limits(), modes=modes, frame_of=frame_of, others=others)
    end_s = until_s if until_s is not None else trace[-1][0] + 2.0
    ticks: Trace = [(n * 0.05, None) for n in range(int(end_s / 0.05) + 1)]  # type: ignore[misc]
    for at_s, what in sorted([*trace, *ticks], key=lambda entry: entry[0]):
        if at_s > end_s:
            break
        if what is None:
            oracle.tick(at_s)
        else:
            oracle.feed(at_s, what)
    return [violation.rule for violation in oracle.violations]


def session(*presses: tuple[float, Button], off_s: float = 20.0) -> Trace:
    return HonestServer(CLIPS).trace([Session(0.0, presses, off_s)])


def dropped(trace: Trace, unwanted: Callable[[float, Event], bool]) -> Trace:
    return [(at_s, what) for at_s, what in trace if not unwanted(at_s, what)]


PLAYED = session((2.0, MODE), (3.0, PLAY))
CUT = session((2.0, MODE), (3.0, PLAY), (6.0, STOP))


def test_a_clean_trace_breaks_nothing() -> None:
    assert judge(PLAYED) == judge(CUT) == judge(session()) == []


def test_a_one_packet_clip_is_fine() -> None:
    trace = session((2.0, MODE), (2.1, MODE), (2.2, MODE), (3.0, PLAY))
    assert sum(isinstance(what, PacketReceived) for _, what in trace) == 1
    assert judge(trace) == []


presses = st.lists(
    st.tuples(st.floats(0.0, 1.5), st.sampled_from([CONNECT, MODE, STOP, PLAY, MODE, PLAY])),
    max_size=12,
)


Plan = list[tuple[list[tuple[float, Button]], float]]
plans = st.lists(st.tuples(presses, st.floats(0.0, 4.0)), min_size=1, max_size=4)


@given(plans, st.booleans())
@settings(max_examples=150, deadline=None)
def test_an_honest_server_is_never_blamed(plan: Plan, known: bool) -> None:
    assert judge(honest(plan), modes=len(CLIPS) if known else None) == []


STOPPED_AFTER_THE_LAST_PACKET: Plan = [([(0.0, MODE)] * 4 + [(0.0, PLAY), (0.3125, STOP)], 1.0)]


@given(plans, st.booleans())
@example(STOPPED_AFTER_THE_LAST_PACKET, False)
@example(STOPPED_AFTER_THE_LAST_PACKET, True)
@settings(max_examples=100, deadline=None)
def test_an_honest_server_is_not_blamed_for_operators(plan: Plan, known: bool) -> None:
    after_startup = [
        ([(gap_s + 2.1 * (n == 0), button) for n, (gap_s, button) in enumerate(gaps)], rest_s)
        for gaps, rest_s in plan
    ]
    trace = unpressed(honest(after_startup))
    assert judge(trace, modes=len(CLIPS) if known else None, others=True) == []


def test_what_operators_cannot_do_is_found() -> None:
    trace = unpressed(CUT)
    assert Rule.UNASKED in judge(trace)
    assert Rule.LEDS in judge(trace)
    nothing = (12.0, LedsSet((0x123456FF,) * 6))
    assert judge([*trace, nothing], others=True)[0] is Rule.LEDS
    dark = (12.0, LedsSet((None,) * 6))
    assert judge([*trace, dark], others=True)[0] is Rule.LEDS


def unpressed(trace: Trace) -> Trace:
    """The same trace with every press made by an operator."""
    return dropped(trace, lambda _, what: isinstance(what, EventSent | EventAcked))


def test_a_stop_by_an_operator_in_the_last_lead_of_a_short_clip_blames_nobody() -> None:
    """The light goes out soon after it went on, in a mode that stays the same."""
    plan = [Session(0.0, [(3.0, PLAY), (3.32, STOP)], 9.0)]
    assert judge(unpressed(HonestServer((30,)).trace(plan)), modes=1, others=True) == []


@pytest.mark.parametrize("known", [True, False])
def test_an_operators_play_while_the_device_does_not_read_blames_nobody(known: bool) -> None:
    trace = stalled(unpressed(session((3.0, PLAY))), 2.5, 6.0)
    assert judge(trace, modes=5 if known else None, others=True) == []


def test_a_light_that_goes_out_inside_a_take_is_found_with_operators() -> None:
    trace = [*unpressed(PLAYED), (6.0, LedsSet(frame_of(1, False)))]
    trace.sort(key=lambda entry: entry[0])
    assert judge(trace, until_s=7.0, others=True) == [Rule.LEDS]


def test_a_light_without_a_take_is_found_with_operators() -> None:
    trace = dropped(unpressed(PLAYED), lambda _, what: isinstance(what, PacketReceived))
    assert judge(trace, until_s=5.0, others=True) == [Rule.LEDS]


def honest(plan: Plan) -> Trace:
    """What an honest server does to one device over some connections."""
    sessions, now_s = [], 0.0
    for gaps, rest_s in plan:
        on_s, timed = now_s, []
        for gap_s, button in gaps:
            now_s += 0.01 + gap_s
            timed.append((now_s, button))
        now_s += 0.01 + rest_s
        sessions.append(Session(on_s, timed, now_s))
        now_s += 0.01
    return HonestServer(CLIPS).trace(sessions)


def test_silence_after_play_is_found() -> None:
    trace = dropped(PLAYED, lambda _, what: isinstance(what, PacketReceived))
    assert judge(trace, until_s=4.0)[0] is Rule.SILENT


def test_a_take_without_play_is_found() -> None:
    trace = [*session(), (21.0, Connected()), *take(24.0, 3)]
    assert Rule.UNASKED in judge(trace)


def test_a_packet_after_the_end_is_found() -> None:
    assert judge([*PLAYED[:-1], (19.0, PacketReceived(False, False, DATA))]) == [Rule.GRAMMAR]


def test_is_end_while_idle_is_found() -> None:
    assert judge([*session()[:-1], (19.0, PacketReceived(False, True, DATA))]) == [Rule.GRAMMAR]


def test_a_second_is_start_is_found() -> None:
    trace = sorted([*PLAYED, (4.0, PacketReceived(True, False, DATA))], key=lambda entry: entry[0])
    assert Rule.GRAMMAR in judge(trace)


def test_a_stream_that_ends_inside_a_take_is_found() -> None:
    trace = [entry for entry in PLAYED if entry[0] < 5.0]
    found = judge([*trace, (5.0, CallLost(Call.AUDIO, "OK"))], until_s=5.0)
    assert found == [Rule.LOST, Rule.GRAMMAR]


@pytest.mark.parametrize("data", [b"", b"\xfc\xff\xfe", b"\xf0\xff\xfe", b"\xfb", b"\xf9\x00\x00"])
def test_what_is_no_opus_packet_is_found(data: bytes) -> None:
    trace = [
        (at_s, PacketReceived(what.is_start, what.is_end, data) if at_s == 3.505 else what)
        if isinstance(what, PacketReceived)
        else (at_s, what)
        for at_s, what in session((3.0, PLAY), (3.5, STOP))
    ]
    assert set(judge(trace)) == {Rule.PACKET}


def hurried(trace: Trace, factor: float) -> Trace:
    """Packets come `factor` times as fast as they should, from the start of the take."""
    first_s = next(at_s for at_s, what in trace if isinstance(what, PacketReceived))
    return sorted(
        (
            (
                first_s + (at_s - first_s) / factor if isinstance(what, PacketReceived) else at_s,
                what,
            )
            for at_s, what in trace
        ),
        key=lambda entry: entry[0],
    )


def test_a_rush_is_found() -> None:
    assert judge(hurried(PLAYED, 2.0), until_s=5.0) == [Rule.PACE]


def held_up(trace: Trace, held_s: float) -> Trace:
    """All that is sent from the first packet on and in `held_s` after it comes at once then."""
    first_s = next(at_s for at_s, what in trace if isinstance(what, PacketReceived))
    until_s = first_s + held_s
    return [(until_s if first_s <= at_s < until_s else at_s, what) for at_s, what in trace]


def test_a_first_packet_that_was_held_up_blames_nobody() -> None:
    """Those behind it are no rush, the light goes out when it is due, and a Stop is felt as late as
    the road made it."""
    assert judge(held_up(PLAYED, 0.24)) == judge(held_up(CUT, 0.24)) == []


def test_sound_that_drags_is_found_once() -> None:
    assert judge(hurried(PLAYED, 0.8), until_s=12.0) == [Rule.LATE]


def test_sound_that_stops_coming_is_found() -> None:
    trace = dropped(PLAYED, lambda at_s, what: isinstance(what, PacketReceived) and at_s > 5.0)
    assert judge(trace, until_s=7.0) == [Rule.LATE]


def test_a_stop_without_is_end_is_found() -> None:
    trace = dropped(CUT, lambda at_s, what: isinstance(what, PacketReceived) and at_s > 6.0)
    assert Rule.STOP in judge(trace)


def test_a_stop_that_is_felt_late_is_found() -> None:
    late = take(3.005, 500, 6.7)
    trace = dropped(CUT, lambda _, what: isinstance(what, PacketReceived)) + late
    assert Rule.STOP in judge(sorted(trace, key=lambda entry: entry[0]))


def test_a_take_that_starts_after_stop_is_found() -> None:
    trace = sorted([*CUT, *take(8.0, 3)], key=lambda entry: entry[0])
    assert Rule.UNASKED in judge(trace)


def test_a_missing_ack_is_found() -> None:
    trace = dropped(PLAYED, lambda at_s, what: isinstance(what, EventAcked) and at_s < 3.0)
    assert Rule.ACK in judge(trace)


def test_a_late_ack_is_found() -> None:
    trace: Trace = [(2.0, EventSent(MODE, Action.HOLD)), (2.5, EventAcked(True))]
    assert judge(trace) == [Rule.ACK]


def test_an_ack_too_many_is_found() -> None:
    assert judge([*PLAYED[:-1], (19.0, EventAcked(True))]) == [Rule.ACK]


@pytest.mark.parametrize(("button", "ack"), [(Button.NONE, True), (PLAY, False)])
def test_a_wrong_ack_is_found(button: Button, ack: bool) -> None:
    trace: Trace = [(2.0, EventSent(button, Action.RELEASE)), (2.01, EventAcked(ack))]
    assert judge(trace) == [Rule.ACK]


def test_hold_and_release_change_nothing() -> None:
    extra: Trace = []
    for at_s, action in ((14.0, Action.HOLD), (14.5, Action.RELEASE)):
        extra += [(at_s, EventSent(PLAY, action)), (at_s + 0.01, EventAcked(True))]
    assert judge(sorted([*PLAYED, *extra], key=lambda entry: entry[0])) == []


def without_frames(trace: Trace, since_s: float) -> Trace:
    return dropped(trace, lambda at_s, what: isinstance(what, LedsSet) and at_s > since_s)


@pytest.mark.parametrize("since_s", [2.0, 3.0, 12.9])
def test_leds_that_do_not_follow_are_found(since_s: float) -> None:
    """Not after Mode, not after Play, not after the end of the sound."""
    assert set(judge(without_frames(PLAYED, since_s), modes=5)) == {Rule.LEDS}


def test_an_led_that_was_left_out_is_found() -> None:
    part = (*frame_of(1, False)[:3], None, 0, 0)
    trace = [*PLAYED[:-1], (19.0, LedsSet(part)), (19.1, LedsSet(frame_of(1, False)))]
    assert judge(trace) == [Rule.LEDS]


def test_a_frame_of_another_mode_is_found() -> None:
    trace = [*PLAYED[:-1], (19.0, LedsSet(frame_of(3, False)))]
    assert judge(trace, until_s=19.1) == [Rule.LEDS]


def test_a_frame_that_goes_back_is_found() -> None:
    """Home was shown after Stop; the mode from before it must not come again."""
    trace = [*CUT[:-1], (9.0, LedsSet(frame_of(1, False)))]
    assert judge(trace, until_s=9.1) == [Rule.LEDS]


def test_leds_that_go_out_before_the_sound_are_found() -> None:
    trace = sorted([*PLAYED, (9.0, LedsSet(frame_of(1, False)))], key=lambda entry: entry[0])
    assert judge(trace, until_s=9.1) == [Rule.LEDS]


def test_leds_may_go_out_when_the_server_itself_cuts_a_take() -> None:
    start = [entry for entry in PLAYED if entry[0] < 6.0]
    end: Trace = [(6.0, PacketReceived(False, True, QUIET)), (6.01, LedsSet(frame_of(1, False)))]
    assert judge([*start, *end, (9.0, Disconnected())]) == []


def test_no_frames_at_all_are_found() -> None:
    assert judge(without_frames(session(), -1.0), until_s=19.0) == [Rule.LEDS]


def test_a_missing_startup_sequence_is_found() -> None:
    trace = dropped(session(), lambda at_s, what: isinstance(what, LedsSet) and at_s < 0.9)
    assert judge(trace, until_s=19.0) == [Rule.LEDS]


def test_a_startup_that_never_ends_is_found() -> None:
    assert judge(without_frames(session(), 0.5), modes=1, until_s=19.0) == [Rule.LEDS]


def test_a_press_before_the_startup_need_not_end_it() -> None:
    trace: Trace = [(0.0, Connected()), (0.0, EventSent(MODE)), (0.005, EventAcked(True))]
    frames = [frame_of(7, False), frame_of(3, True), frame_of(1, False)]
    shown: Trace = [(0.01 + 0.5 * n, LedsSet(frame)) for n, frame in enumerate(frames)]
    assert judge([*trace, *shown], modes=5, until_s=9.0) == []
    late = [(at_s + 3.0, what) for at_s, what in shown]
    assert set(judge([*trace, *late], modes=5, until_s=9.0)) == {Rule.LEDS}


def test_a_press_during_the_startup_ends_it() -> None:
    trace: Trace = [(0.0, Connected()), (0.01, LedsSet(frame_of(7, False)))]
    press: Trace = [(0.1, EventSent(CONNECT)), (0.105, EventAcked(True))]
    frames: Trace = [(0.5, LedsSet(frame_of(7, True))), (0.9, LedsSet(frame_of(0, False)))]
    assert set(judge([*trace, *press, *frames], modes=1, until_s=9.0)) == {Rule.LEDS}


def test_connect_that_sends_nothing_is_found() -> None:
    assert judge(without_frames(session((4.0, CONNECT)), 3.9), until_s=19.0) == [Rule.LEDS]


def test_a_mode_that_does_not_survive_is_found() -> None:
    other = HonestServer(CLIPS).trace([Session(21.0, [], 30.0)])
    assert Rule.LEDS in judge(PLAYED + other)


def test_a_press_without_ack_may_count_or_not() -> None:
    trace = session((2.0, MODE), off_s=2.002)
    assert isinstance(trace[-2][1], EventSent)
    for done in (0, 1):
        server = HonestServer(CLIPS)
        server.trace([Session(0.0, [(0.0, MODE)] * done, 1.0)])
        assert judge(trace + server.trace([Session(3.0, [], 9.0)])) == []


def test_calls_that_end_and_unclear_requests_are_found() -> None:
    trace: Trace = [(19.0, CallLost(Call.STATUS, "INTERNAL")), (19.1, RequestUnclear())]
    lost = (19.2, Disconnected("reset by peer"))
    assert judge([*PLAYED[:-1], *trace, lost]) == [Rule.LOST, Rule.REQUEST, Rule.LOST]


def stalled(trace: Trace, since_s: float, until_s: float) -> Trace:
    """The device does not read for a while, and reads at once what came in the meantime."""
    moved = [
        (
            max(at_s, until_s + 0.001)
            if isinstance(w, PacketReceived) and at_s > since_s
            else at_s,
            w,
        )
        for at_s, w in trace
    ]
    pause: Trace = [(since_s, ReadingPaused()), (until_s, ReadingResumed())]
    return sorted([*moved, *pause], key=lambda entry: entry[0])


@pytest.mark.parametrize(("since_s", "until_s"), [(5.0, 7.0), (2.5, 4.5), (2.5, 16.0), (12.0, 14)])
def test_a_device_that_does_not_read_blames_nobody(since_s: float, until_s: float) -> None:
    assert judge(stalled(PLAYED, since_s, until_s), modes=5) == []


def test_one_packet_that_still_comes_after_the_pause_blames_nobody() -> None:
    trace = stalled(PLAYED, 3.001, 4.5)
    number, first = next(
        (n, what) for n, (_, what) in enumerate(trace) if isinstance(what, PacketReceived)
    )
    trace[number] = (3.005, first)
    assert judge(sorted(trace, key=lambda entry: entry[0]), modes=5) == []


def test_a_take_that_is_not_read_may_be_shown_as_playing() -> None:
    trace = stalled(session((2.0, MODE), (3.0, PLAY), (4.0, PLAY)), 3.999, 7.0)
    cut = next(n for n, (at_s, w) in enumerate(trace) if at_s > 6.9 and w == _CUT)
    trace[cut] = (4.01, trace[cut][1])
    assert judge(sorted(trace, key=lambda entry: entry[0]), modes=5) == []


_CUT = PacketReceived(False, True, QUIET)


def test_audio_that_was_lost_may_be_opened_again() -> None:
    trace = [*CUT[:-1], (9.0, CallLost(Call.AUDIO, "x")), (10.0, CallReopened(Call.AUDIO))]
    assert judge([*trace, (12.0, Disconnected())]) == [Rule.LOST]


def test_the_lead_is_what_the_limits_say() -> None:
    def rules(limits: Limits) -> list[Rule]:
        oracle = Oracle(limits, frame_of=frame_of)
        for at_s, what in PLAYED[:60]:
            oracle.feed(at_s, what)
        return [violation.rule for violation in oracle.violations]

    assert rules(Limits()) == []
    assert rules(Limits(lead_s=0.1)) == [Rule.PACE]


def test_stock_frames_differ() -> None:
    states: Sequence[tuple[int, bool]] = [(m, p) for m in range(9) for p in (False, True)]
    frames = {stock_frame(*state) for state in states}
    assert len(frames) == len(states)
    assert all(len(frame) == 6 for frame in frames)


def test_the_judges_own_table_agrees_with_the_server() -> None:
    """The judge does not ask the accused; both follow docs/protocol.md."""
    for mode in range(60):
        assert stock_frame(mode, playing=False) == leds(State(mode))
        assert stock_frame(mode, playing=True) == leds(State(mode, playing=mode))
        assert stock_error_frame(mode) == leds(State(mode, error=True))
