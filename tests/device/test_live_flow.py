"""The clock of a channel: sources that are fast, slow, early, late, in bursts or held up."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_server.device.live_flow import EARLY, LATE, Counts, Flow

PACKET_S = 0.02
BEGUN = 1000.0
SILENT = None
"""Stands for a packet of silence in what was released."""


class Played:
    """A flow whose clock goes on in steps of its own `next_at`, and all that it has released."""

    def __init__(self) -> None:
        self.counts = Counts()
        self.flow = Flow(self.counts, BEGUN)
        self.now = BEGUN
        self.released = 0
        self.last = -1
        self.highest = 0.0
        self.lowest = 0.0
        self.latest_s = 0.0

    def put(self, number: int, at: float) -> None:
        """A packet comes."""
        self.go_on(at)
        self._take(self.flow.put(number.to_bytes(4, "big"), at), at)

    def go_on(self, until: float) -> None:
        """No packet comes."""
        while (at := max(self.now, self.flow.next_at)) < until:
            self.lowest = min(self.lowest, self.flow.ahead(at))
            self._take(self.flow.tick(at, is_sending=True), at)
        self.now = until

    def _take(self, released: list[bytes], at: float) -> None:
        self.now = at
        self.released += len(released)
        self.highest = max(self.highest, self.flow.ahead(at))
        for frame in released:
            if len(frame) == 4:
                number = int.from_bytes(frame, "big")
                assert number > self.last
                self.last = number


def play(count: int, drift: float = 0.0) -> Played:
    played = Played()
    every_s = PACKET_S / (1 + drift)
    for number in range(count):
        played.put(number, BEGUN + (number + 1) * every_s)
    return played


def test_packets_that_come_in_time_are_released_at_once() -> None:
    flow = Flow(Counts(), BEGUN)
    for number in range(1, 500):
        assert flow.put(b"x", BEGUN + number * PACKET_S) == [b"x"]
        assert abs(flow.ahead(BEGUN + number * PACKET_S)) < 1e-6


@pytest.mark.parametrize("drift", [500e-6, -500e-6, 12e-3, -12e-3])
def test_an_hour_of_a_source_whose_clock_drifts(drift: float) -> None:
    """24 times the 500 ppm for an hour ask for the corrections of a day: none is forgotten, none is
    made twice, and the end is as close to the source as the beginning."""
    packets = 180_000
    played = play(packets, drift)
    off = abs(packets / (1 + drift) - packets)
    made, other = played.counts.left_out, played.counts.inserted
    if drift < 0:
        made, other = other, made
    assert off - max(EARLY, LATE) - 2 <= made <= off + 1
    assert other == 0
    assert played.flow.ahead(played.now) <= EARLY
    assert played.last >= packets - 1 - EARLY


def test_a_page_of_a_second_is_played_without_a_gap() -> None:
    """Packets that come fifty at a time: the edge is held back by as much as that needs, once."""
    played = Played()
    for second in range(60):
        for number in range(50):
            played.put(second * 50 + number, BEGUN + 1 + second)
    at_first = played.counts.inserted
    assert at_first <= 50
    assert played.counts.left_out <= EARLY
    assert played.counts.underruns <= 2
    for second in range(60, 120):
        for number in range(50):
            played.put(second * 50 + number, BEGUN + 1 + second)
    assert played.counts.inserted == at_first


def test_jitter_is_taken_in_after_a_while() -> None:
    """Packets up to 300 ms late, which is more than `LATE`."""
    played, random = Played(), Random(3)
    times = sorted(BEGUN + n * PACKET_S + random.uniform(0, 0.3) for n in range(6000))
    for number, at in enumerate(times[:3000]):
        played.put(number, at)
    before = played.counts.inserted, played.counts.left_out
    assert before[0] <= 15
    for number, at in enumerate(times[3000:], 3000):
        played.put(number, at)
    assert played.counts.inserted - before[0] <= 5
    assert played.counts.left_out - before[1] <= 5


def test_after_a_pause_of_the_source_its_sound_is_at_the_edge_again() -> None:
    played = Played()
    for number in range(100):
        played.put(number, BEGUN + number * PACKET_S)
    for number in range(100, 200):  # all that it owes after two seconds, at once
        played.put(number, BEGUN + 200 * PACKET_S)
    inserted = played.counts.inserted
    assert 90 <= inserted <= 100
    assert played.counts.underruns == 1
    for number in range(200, 400):  # within 4 s
        played.put(number, BEGUN + number * PACKET_S)
    assert abs(played.counts.left_out - inserted) <= EARLY + LATE
    assert played.last >= 400 - 1 - EARLY
    assert played.counts.inserted == inserted


def test_a_flood_is_bounded() -> None:
    """Sound for 20 s within a moment: 4 s of it are held at most."""
    played = Played()
    for number in range(50):
        played.put(number, BEGUN + number * PACKET_S)
    for number in range(50, 1050):
        played.put(number, BEGUN + 50 * PACKET_S)
        assert len(played.flow._held) <= 200
    assert 50 <= len(played.flow.flush()) <= 200
    assert not played.flow.holds


def test_time_that_the_process_lost_is_not_filled_with_silence() -> None:
    counts = Counts()
    flow = Flow(counts, BEGUN)
    now = BEGUN + 5
    assert len(flow.tick(now, is_sending=True)) == 10
    assert flow.tick(now, is_sending=True) == []
    assert flow.ahead(now) == pytest.approx(1 - LATE)
    assert counts.inserted == 10
    assert counts.underruns == 1


def test_silence_keeps_to_the_clock_in_a_process_that_is_late() -> None:
    """Each look comes 50 ms after its time."""
    counts = Counts()
    flow, released, now = Flow(counts, BEGUN), 0, BEGUN
    while now < BEGUN + 10:
        now = flow.next_at + 0.05
        released += len(flow.tick(now, is_sending=False))
    assert released == pytest.approx((now - BEGUN) / PACKET_S, abs=LATE + 1)
    assert counts.underruns == 0


gaps = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.001, 0.019, 0.02, 0.021, 0.1, 1.0])),
    max_size=40,
)


@given(gaps)
def test_the_edge_keeps_to_the_clock_however_packets_come(
    arrivals: list[tuple[int, float]],
) -> None:
    played, number = Played(), 0
    for count, gap_s in arrivals:
        for _ in range(count):
            played.put(number, played.now + gap_s)
            number += 1
    assert played.highest <= EARLY + 1e-3
    assert played.lowest >= -LATE - 1e-3
    whole = played.released + len(played.flow.flush())
    assert whole == number + played.counts.inserted - played.counts.left_out
