"""Counts of live channels for Prometheus: their names, which the settings have, are the label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields

from audio_server.device.live_channel import LiveChannel
from audio_server.device.live_flow import Counts
from audio_server.metrics.family import Family, Reading

_HOWS = tuple(field.name for field in fields(Counts) if field.name != "underruns")


def readings(channels: Sequence[LiveChannel]) -> Iterator[Reading]:
    """Yield the counts of all channels; nothing without any."""
    if not channels:
        return
    names = [channel.name for channel in channels]
    series = tuple((name, how) for name in names for how in _HOWS)
    yield Reading(
        Family(
            "audio_server_live_packets_corrected_total",
            "counter",
            "Packets of live channels that were put in, left out or missed.",
            ("channel", "how"),
            series,
        ),
        [getattr(channel.counts, how) for channel in channels for how in _HOWS],
    )
    by_name = tuple((name,) for name in names)
    yield Reading(
        Family(
            "audio_server_live_underruns_total",
            "counter",
            "Times at which a live channel had no sound in time.",
            ("channel",),
            by_name,
        ),
        [channel.counts.underruns for channel in channels],
    )
    yield Reading(
        Family(
            "audio_server_live_sending",
            "gauge",
            "1 while sound is sent to a live channel.",
            ("channel",),
            by_name,
        ),
        [float(channel.is_sending) for channel in channels],
    )
