"""A server that answers control characters: nothing of them reaches the terminal."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import pytest
from client_run import Run
from fake_api import NOW, FakeServer, event, playing, row
from on_terminal import on_terminal
from starlette.responses import Response

COMMAND = (sys.executable, "-m", "audio_server")
CONTROLS = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eevil\u2066\u2028\u200f\t"
MARKUP = "[link=http://evil]x[/link] [red]y[/red]"
HOSTILE = f"<{CONTROLS}{MARKUP}>"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
OUR_STYLES = re.compile(rb"\x1b\[[0-9;]*m|\x1b\[\?(1049|25)[hl]|\x1b\[H|\x1b\[2?K|\x1b\[1A|\r")


def hostile(value: Any) -> Any:
    """The same, with all its texts hostile."""
    if isinstance(value, dict):
        return {key: hostile(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return list(map(hostile, value))
    return f"{value}{HOSTILE}" if isinstance(value, str) and value[:1] != "#" else value


def rows() -> list[dict[str, Any]]:
    press = {"button": "mode", "at": NOW - 5}
    facts = {"name": "hall", "last_press": press, "last_error": "none", "worker": 1}
    return [hostile(playing("a", **facts)), hostile(row("b", **facts))]


@pytest.fixture
def evil(fake: FakeServer) -> FakeServer:
    fake.rows = rows()
    fake.rows[1]["id"] = "b"  # one that can be asked for
    fake.past = [hostile(event(1, "hall", "Play pressed"))]
    fake.answer = hostile(row("b"))
    return fake


@pytest.mark.parametrize(
    "argv", [("devices",), ("devices", "show", "b"), ("logs",), ("press", "b", "play")]
)
def test_what_is_shown_has_no_controls(evil: FakeServer, run: Run, argv: tuple[str, ...]) -> None:
    status, out, err = run(*argv)
    assert (status, err) == (0, "")
    assert MARKUP in out
    assert r"\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202eevil\u2066\u2028\u200f\t" in out
    assert not UNSAFE.search(out)


@pytest.mark.parametrize("argv", [("stop", "--all"), ("play", HOSTILE, "--all")])
def test_devices_that_failed_are_named_without_controls(
    fake: FakeServer, run: Run, argv: tuple[str, ...]
) -> None:
    fake.answer = {"done": 1, "gone": [HOSTILE], "failed": {HOSTILE: HOSTILE}}
    status, out, err = run(*argv)
    assert status == 1
    assert r"\x1b]0;owned" in err
    assert not UNSAFE.search(out + err)
    assert len((out + err).splitlines()) == 2


def test_half_a_character_is_escaped(fake: FakeServer, run: Run) -> None:
    fake.rows = [row("b", name="\ud800")]
    status, out, err = run("devices")
    assert (status, err) == (0, "")
    assert r"\ud800" in out


def test_a_refusal_has_no_controls(fake: FakeServer, run: Run) -> None:
    fake.refusal = Response(json.dumps({"error": HOSTILE}), 400)
    status, out, err = run("devices")
    assert (status, out) == (1, "")
    assert r"\x1b]0;owned" in err
    assert not UNSAFE.search(err)


@pytest.mark.parametrize("argv", [("devices",), ("devices", "show", "b"), ("logs",)])
def test_json_escapes_them(evil: FakeServer, run: Run, argv: tuple[str, ...]) -> None:
    status, out, _ = run(*argv, "--json")
    assert status == 0
    assert out.isascii()
    assert not UNSAFE.search(out)


@pytest.mark.parametrize("command", ["devices", "top"])
def test_a_terminal_sees_none(evil: FakeServer, command: str) -> None:
    evil.streamed, evil.stays = [("all", {"now": NOW, "rows": evil.rows, "gone": []})], True
    with on_terminal([*COMMAND, command], columns=400) as terminal:
        terminal.read_until(MARKUP)
        terminal.type("q")
        assert terminal.wait() == 0
    shown = OUR_STYLES.sub(b"", terminal.shown).decode()
    assert not UNSAFE.search(shown)


@pytest.mark.parametrize(
    "argv",
    [
        ("devices", "show", HOSTILE),
        ("press", "b", HOSTILE),
        (HOSTILE,),
        (f"{HOSTILE}\udcff",),
        (f"--{HOSTILE}",),
        ("--port", HOSTILE),
        ("--config", HOSTILE),
        ("--clips", HOSTILE),
        ("devices", "--url", HOSTILE),
        ("dev-certs", "x", "--host", HOSTILE),
        ("clips", "move", HOSTILE, "1"),
        ("devices", "--token-file", HOSTILE),
    ],
)
def test_input_that_is_quoted_has_none(run: Run, argv: tuple[str, ...]) -> None:
    status, out, err = run(*argv)
    assert (status, out) == (2, "")
    assert not UNSAFE.search(err)
    assert err.count("\n") == 1
