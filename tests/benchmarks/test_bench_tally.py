"""Counting: runs of packets, lateness, quantiles."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from benchmarks.tally import (
    Seen,
    Tally,
    late_share,
    lateness_ms,
    quantile_ms,
    spread_runs,
)


def test_each_packet_of_a_run_is_20_ms_less_late_than_the_one_before() -> None:
    assert spread_runs([0.0105, 0.0105], [3, 1]) == Counter({105: 2, -95: 1, -295: 1})


def test_a_packet_on_time_is_not_late_and_one_a_moment_after_it_is() -> None:
    assert late_share(spread_runs([0.0, 1e-9], [1, 1])) == 0.5
    assert late_share(Counter()) == 0


def test_lateness_by_quantile() -> None:
    lateness = Counter({-100: 998, 50: 1, 700: 1})
    assert lateness_ms(lateness, 0.5) == -10.0
    assert lateness_ms(lateness, 0.999) == 5.0
    assert lateness_ms(lateness, 1.0) == 70.0
    assert math.isnan(lateness_ms(Counter(), 0.5))


def test_quantiles_are_values_that_were_seen() -> None:
    seconds = [index / 1000 for index in range(100, 0, -1)]
    assert quantile_ms(seconds, 0.5) == pytest.approx(50)
    assert quantile_ms(seconds, 0.99) == pytest.approx(99)
    assert quantile_ms(seconds, 1.0) == pytest.approx(100)
    assert quantile_ms([0.007], 0.01) == pytest.approx(7)
    assert math.isnan(quantile_ms([], 0.5))


def test_what_processes_saw_adds_up_and_a_tally_starts_anew() -> None:
    tally = Tally()
    tally.run_lateness.extend([0.1, -0.1])
    tally.run_packets.extend([2, 3])
    tally.acks.append(0.5)
    tally.faults["broken"] += 1
    seen = Seen.of(tally) + Seen.of(tally)
    assert seen.packets == seen.lateness.total() == 10
    assert seen.acks == [0.5, 0.5]
    assert seen.faults == {"broken": 2}
    tally.clear()
    assert Seen.of(tally) == Seen()
