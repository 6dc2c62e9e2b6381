"""Counts of live channels, as Prometheus reads them."""

from __future__ import annotations

from functools import partial

import trio
from trio.testing import MockClock

from audio_server.device.live_channel import LiveChannel
from audio_server.live.metrics import readings
from audio_server.metrics.shared_registry import SharedRegistry


def test_each_channel_has_its_counts() -> None:
    hall, radio = LiveChannel("hall"), LiveChannel("radio")
    radio.counts.add([1, 2, 3, 4, 5])
    text = SharedRegistry().text(partial(readings, [hall, radio]))
    for line in (
        'audio_server_live_packets_corrected_total{channel="radio",how="inserted"} 1.0',
        'audio_server_live_packets_corrected_total{channel="radio",how="left_out"} 2.0',
        'audio_server_live_packets_corrected_total{channel="radio",how="skipped"} 3.0',
        'audio_server_live_packets_corrected_total{channel="radio",how="lost"} 4.0',
        'audio_server_live_packets_corrected_total{channel="hall",how="lost"} 0.0',
        'audio_server_live_underruns_total{channel="radio"} 5.0',
        'audio_server_live_sending{channel="hall"} 0.0',
    ):
        assert line in text.splitlines()


async def test_a_channel_tells_whether_it_has_a_sender(autojump_clock: MockClock) -> None:
    channel = LiveChannel("radio")
    with channel.sending():
        await trio.lowlevel.checkpoint()
        assert 'sending{channel="radio"} 1.0' in SharedRegistry().text(partial(readings, [channel]))


def test_without_channels_nothing_is_told() -> None:
    assert "audio_server_live_" not in SharedRegistry().text(partial(readings, []))


def test_counts_that_were_taken_are_zero_again() -> None:
    counts, whole = LiveChannel("radio").counts, LiveChannel("radio").counts
    counts.add([1, 2, 3, 4, 5])
    whole.add(counts.taken())
    assert whole.taken() == [1, 2, 3, 4, 5]
    assert counts.taken() == [0] * 5
