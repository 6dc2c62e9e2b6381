"""The soak in a tiny form, without times; and that its verdict can be a bad one."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import replace

import pytest
from soak import soak
from soak_load import Witnessed
from soak_verdict import Soaked, judge, slope

from benchmarks.tally import Seen

CALM = {"tasks": 17, "sockets": 6, "Device": 0}


def seen(ack_s: float = 0.002, late_ms: int = -100) -> Seen:
    return Seen(packets=100, lateness=Counter({late_ms * 10: 100}), acks=[ack_s] * 100)


def soaked(seen: Seen, violations: Counter[str] | None = None) -> Soaked:
    lag_s = array("d", [0.001] * 100)
    witnessed = Witnessed(seen, violations or Counter(), 2, lag_s)
    return Soaked(60, 20, witnessed, {}, [100_000.0] * 60, CALM, CALM | {"garbage": 0})


GOOD = soaked(seen())
BAD = {
    "ack": soaked(seen(ack_s=0.06)),
    "lateness": soaked(seen(late_ms=21)),
    "contract": soaked(seen(), Counter({"a packet outside a take": 1})),
    "memory": replace(GOOD, rss_kb=[100_000.0 + 200 * second for second in range(60)]),
    "left": replace(GOOD, after=CALM | {"Device": 1, "garbage": 0}),
    "garbage": replace(GOOD, after=CALM | {"garbage": 5_000}),
    "server": replace(GOOD, complaints=["Traceback"]),
    "silence": soaked(Seen()),
}


def test_a_soak_in_which_all_is_well_is_judged_so() -> None:
    assert [str(line) for line in judge(GOOD) if not line.holds] == []


@pytest.mark.parametrize("what", BAD)
def test_each_harm_is_seen(what: str) -> None:
    wrong = [line for line in judge(BAD[what]) if not line.holds]
    assert len(wrong) == (3 if what == "silence" else 1)


def test_a_machine_that_is_too_busy_is_noticed() -> None:
    assert not GOOD.starved
    assert replace(GOOD, waited_s=6.0).starved


def test_slope() -> None:
    assert slope([1.0, 3.0, 5.0]) == 2.0
    assert slope([4.0]) == 0.0


def test_twenty_devices_two_of_them_foes() -> None:
    verdict = judge(soak(seconds=1.5, devices=20, oracles=2, foes=3), timing=False)
    assert [str(line) for line in verdict if not line.holds] == []
