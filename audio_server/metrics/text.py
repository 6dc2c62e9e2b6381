"""Readings in the text format of Prometheus (version 0.0.4), as its own library writes it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from audio_server.metrics.family import Reading

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_Plain: TypeAlias = CounterMetricFamily | GaugeMetricFamily

_KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


class _Readings(Collector):
    """All readings of one time, as the library asks for them."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        """Return each reading in the library's own form."""
        return [_histogram(one) if one.family.bounds else _plain(one) for one in self._readings]


def render(readings: Iterable[Reading]) -> str:
    """The text of all readings."""
    return generate_latest(_Readings(readings)).decode()


def _plain(reading: Reading) -> Metric:
    family, numbers = reading
    metric: _Plain = _KINDS[family.kind](family.name, family.help, labels=family.labels)
    for labels, number in zip(family.series, numbers, strict=True):
        if number or not family.sparse:
            metric.add_metric(labels, number)
    return metric


def _histogram(reading: Reading) -> Metric:
    family, (*counts, total) = reading
    bounds = [*map(str, family.bounds), "+Inf"]
    buckets = list(zip(bounds, accumulate(counts), strict=True))
    return HistogramMetricFamily(family.name, family.help, buckets, total)
