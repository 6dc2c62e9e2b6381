"""A server and its commands on terminals that can only print lines, or have few characters."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from on_terminal import on_terminal
from terminal_encodings import ENCODINGS, OTHERS

SERVER = (sys.executable, "-m", "audio_server")


@pytest.mark.parametrize(
    "variables", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "dumb"}, ENCODINGS["C"]], ids=str
)
def test_a_server_starts_and_says_so(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in OTHERS:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    argv = ("--port", "0", "--http", "off", "--data", "off", "--cache", str(tmp_path / "cache"))
    with on_terminal([*SERVER, *argv]) as terminal:
        terminal.read_until("listening")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 0
    assert b"Traceback" not in terminal.shown
    if "TERM" in variables:
        assert b"\x1b" not in terminal.shown


@pytest.mark.parametrize("argv", [("--help",), ("limits",), ("devices", "--help")], ids=" ".join)
def test_a_dumb_terminal_gets_plain_text(
    argv: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with on_terminal([*SERVER, *argv]) as terminal:
        assert terminal.wait() == 0
    assert b"\x1b" not in terminal.shown


def test_a_dumb_terminal_is_not_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with on_terminal([*SERVER, "top"]) as terminal:
        assert terminal.wait() == 2
    assert terminal.shown.endswith(
        b"no terminal to draw on: use --json, or audio-server devices\r\n"
    )


@pytest.mark.parametrize("value", ["1", "0", "no"])
def test_no_color_leaves_no_colours(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    with on_terminal([*SERVER, "--help"]) as terminal:
        assert terminal.wait() == 0
    assert b"\x1b[3" not in terminal.shown
