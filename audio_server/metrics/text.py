"""Readings in the text format of Prometheus (version 0.0.4).

Source: https://prometheus.io/docs/instrumenting/exposition_formats/. Values of labels need no
escaping here, and help is one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from audio_server.metrics.family import Family, Labels, Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(readings: Iterable[Reading]) -> str:
    """The text of all readings."""
    return "".join(f"{line}\n" for reading in readings for line in _lines(reading))


def _lines(reading: Reading) -> Iterator[str]:
    family, numbers = reading
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for number, labels in enumerate(family.series):
        start = number * family.width
        yield from _series(family, labels, numbers[start : start + family.width])


def _series(family: Family, labels: Labels, numbers: Sequence[float]) -> Iterator[str]:
    pairs = [f'{name}="{value}"' for name, value in zip(family.labels, labels, strict=True)]
    if family.bounds:
        yield from _histogram(family, pairs, numbers)
    elif numbers[0] or not family.sparse:
        yield f"{family.name}{_braced(pairs)} {_number(numbers[0])}"


def _histogram(family: Family, pairs: list[str], numbers: Sequence[float]) -> Iterator[str]:
    *buckets, total = numbers
    counts = list(accumulate(buckets))
    bounds = [*map(_number, family.bounds), "+Inf"]
    for bound, count in zip(bounds, counts, strict=True):
        bucket = _braced([*pairs, f'le="{bound}"'])
        yield f"{family.name}_bucket{bucket} {_number(count)}"
    yield f"{family.name}_sum{_braced(pairs)} {_number(total)}"
    yield f"{family.name}_count{_braced(pairs)} {_number(counts[-1])}"


def _braced(pairs: Sequence[str]) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
