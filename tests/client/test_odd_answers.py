"""Answers that no audio-server gives: JSON of other shapes. Each is one line and status 1, or is
shown; none is a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest
from client_run import Run
from fake_api import NOW, FakeServer, event, playing
from starlette.responses import Response

from audio_server.client.columns import COLUMNS, sort
from audio_server.client.facts import facts
from audio_server.client.outcome import state
from audio_server.client.shapes import Device, has_shape
from audio_server.client.table import lines

ODD = (None, True, -1, 1e300, "", "x", "\x1b", [], [1], {}, {"x": 1})
FULL = playing(
    "b", name="hall", last_press={"button": "mode", "at": NOW}, lead_ms=1, round_trip_ms=2.5,
    battery=0.5, last_error="none", confirmed=["#000000ff"] * 6, worker=1,
)  # fmt: skip


def odd_ones(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The document with each of its values, also inner ones, odd or missing."""
    found = []
    for key, value in document.items():
        found.append({name: one for name, one in document.items() if name != key})
        inner = odd_ones(value) if isinstance(value, dict) else []
        found += [{**document, key: odd} for odd in [*ODD, *inner]]
    return found


def check(run: Run, *argv: str) -> None:
    status, out, err = run(*argv)
    assert status in (0, 1)
    assert err.count("\n") == status
    if status:
        assert err.startswith("audio-server: ")
    assert "\x1b" not in out + err


COMMANDS = [("devices",), ("devices", "--sort", "since"), ("devices", "show", "b")]


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_odd_rows(fake: FakeServer, run: Run, argv: tuple[str, ...]) -> None:
    odd = odd_ones(FULL)
    for one in odd[:: len(odd) // 40]:
        fake.refusal = answered(one if "show" in argv else {"now": NOW, "rows": [one]})
        check(run, *argv)


@pytest.mark.parametrize("row", odd_ones(FULL))
def test_every_row_is_shown_or_refused(row: dict[str, Any]) -> None:
    """The same without HTTP, for all that there are."""
    if has_shape(row, Device):
        facts(row, NOW)
        state(row)
        lines(sort([row, row], "since"), NOW)
        for key in COLUMNS:
            sort([row, FULL], key)


@pytest.mark.parametrize(
    ("argv", "document"),
    [
        (("logs",), {"events": [event(1, "hall", "x")]}),
        (("stop", "--all"), {"done": 1, "gone": ["a"], "failed": {"b": "c"}}),
        (("play", "bell", "--all"), {"done": 1, "gone": ["a"], "failed": {"b": "c"}}),
        (("rename", "b", "x"), {"id": "b", "name": "x"}),
        (("press", "b", "play"), {"id": "b"}),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else None,
)
def test_odd_answers(
    fake: FakeServer, run: Run, argv: tuple[str, ...], document: dict[str, Any]
) -> None:
    for odd in [*odd_ones(document), {}, *({"events": [one]} for one in ODD)]:
        fake.refusal = answered(odd)
        check(run, *argv)


@pytest.mark.parametrize("argv", [("logs", "-f"), ("top", "--json")], ids=" ".join)
def test_odd_streams(fake: FakeServer, run: Run, argv: tuple[str, ...]) -> None:
    for odd in odd_ones({"rows": [FULL], "gone": ["a"], "now": NOW}):
        fake.streamed = [("all", odd)]
        check(run, *argv)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 10_000,
        b'{"now": NaN, "rows": []}',
        b'{"now": 1e999, "rows": []}',
        b'{"now": 1, "rows": "x"}',
        b"\xff",
    ],
    ids=lambda content: content[:10].decode(errors="replace"),
)
def test_json_that_is_none(fake: FakeServer, run: Run, content: bytes) -> None:
    fake.refusal = Response(content, media_type="application/json")
    status, out, err = run("devices")
    assert (status, out) == (1, "")
    assert "an incompatible version" in err or "of another version" in err


def answered(document: Any) -> Response:
    return Response(json.dumps(document), media_type="application/json")
