"""The rule of take-over: its table, and what holds for all calls of a device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.device.takeover import NO_TAKE_OVER, CallKind, TakeOver, take_over

STATUS, EVENTS, AUDIO = CallKind


@pytest.mark.parametrize(
    ("opened", "kind", "connection", "expected"),
    [
        # a call of a kind that is not open ends nothing
        ({}, STATUS, 1, NO_TAKE_OVER),
        ({STATUS: 1}, EVENTS, 1, NO_TAKE_OVER),
        ({STATUS: 1, AUDIO: 1}, EVENTS, 2, NO_TAKE_OVER),
        ({STATUS: 2, EVENTS: 3}, AUDIO, 1, NO_TAKE_OVER),
        # on its own connection a call ends the older one of its kind alone
        ({STATUS: 1, EVENTS: 1, AUDIO: 1}, STATUS, 1, TakeOver((STATUS,))),
        ({STATUS: 1, EVENTS: 1, AUDIO: 1}, AUDIO, 1, TakeOver((AUDIO,), None, is_idle=True)),
        # from another connection it ends all that was left there
        (
            {STATUS: 1, EVENTS: 1, AUDIO: 1},
            EVENTS,
            2,
            TakeOver((STATUS, EVENTS, AUDIO), 1, is_idle=True),
        ),
        ({STATUS: 1, EVENTS: 2, AUDIO: 3}, STATUS, 4, TakeOver((STATUS,), 1)),
        ({STATUS: 1, EVENTS: 2, AUDIO: 3}, EVENTS, 4, TakeOver((EVENTS,), 2)),
        ({STATUS: 1, EVENTS: 2, AUDIO: 3}, AUDIO, 4, TakeOver((AUDIO,), 3, is_idle=True)),
        ({STATUS: 1, EVENTS: 2, AUDIO: 1}, STATUS, 2, TakeOver((STATUS, AUDIO), 1, is_idle=True)),
        ({STATUS: 1, EVENTS: 1, AUDIO: 2}, STATUS, 2, TakeOver((STATUS, EVENTS), 1)),
        # an older connection may take over as well as a newer one
        ({STATUS: 9, EVENTS: 9}, STATUS, 1, TakeOver((STATUS, EVENTS), 9, is_idle=True)),
        # a device that had no other call is idle, also where an error is shown
        ({STATUS: 1}, STATUS, 2, TakeOver((STATUS,), 1, is_idle=True)),
        ({STATUS: 1, EVENTS: 2}, EVENTS, 3, TakeOver((EVENTS,), 2)),
        ({STATUS: 1, EVENTS: 2}, STATUS, 3, TakeOver((STATUS,), 1)),
        ({EVENTS: 1}, EVENTS, 1, TakeOver((EVENTS,))),
    ],
)
def test_table(
    opened: dict[CallKind, int], kind: CallKind, connection: int, expected: TakeOver
) -> None:
    assert take_over(opened, kind, connection) == expected


@pytest.mark.parametrize(("waiting_on", "is_idle"), [(2, True), (1, False), (None, False)])
def test_a_play_that_waits_for_an_audio_call_ends_with_its_connection(
    waiting_on: int | None, is_idle: bool
) -> None:
    opened = {STATUS: 1, EVENTS: 2}
    assert take_over(opened, EVENTS, 3, waiting_on) == TakeOver((EVENTS,), 2, is_idle)


open_calls = st.dictionaries(st.sampled_from(CallKind), st.integers(1, 4))


@given(open_calls, st.sampled_from(CallKind), st.integers(1, 4))
def test_what_holds_for_all_calls(
    opened: dict[CallKind, int], kind: CallKind, connection: int
) -> None:
    ended = take_over(opened, kind, connection)
    assert (kind in ended.ended) == (kind in opened)
    left = {opened[other] for other in ended.ended}
    assert left <= {opened.get(kind)}
    if ended.left is not None:
        assert connection not in left
        assert all(opened[other] != ended.left for other in opened.keys() - set(ended.ended))
