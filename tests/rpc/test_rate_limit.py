"""Token buckets, exactly."""

from __future__ import annotations

import pytest

from audio_server.rpc.rate_limit import TokenBucket


def test_a_burst_and_then_the_rate() -> None:
    bucket = TokenBucket((3, 2.0), 10.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(10.4)
    assert bucket.take(10.5)
    assert not bucket.take(10.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_booked_ahead_the_rate_holds_too() -> None:
    bucket = TokenBucket((2, 4.0), 0.0)
    assert [bucket.book(0.0) for _ in range(5)] == [0, 0, 0.25, 0.5, 0.75]
    assert bucket.book(1.0) == pytest.approx(0)
    assert bucket.book(1.0) == pytest.approx(0.25)
    assert not bucket.is_full(1.5)
    assert bucket.is_full(2.0)
