"""`audio-device` on terminals that can do little, and with servers that would use them."""

from __future__ import annotations

import re
import sys

import pytest
from free_ports import free_port
from on_terminal import on_terminal
from terminal_encodings import ENCODINGS, OTHERS
from test_screen import face_after

from audio_server.simulator.events import Call, CallLost, Disconnected
from audio_server.simulator.screen import picture

DEVICE = (sys.executable, "-c", "from audio_server.simulator.cli import main; main()")
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b\u202e[red]x[/red]"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_screen_is_drawn_with_the_signs_there_are(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in OTHERS:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in ENCODINGS[encoding].items():
        monkeypatch.setenv(variable, value)
    with on_terminal([*DEVICE, "--port", str(free_port()), "--no-play"]) as terminal:
        terminal.read_until("looking for")
        terminal.read_until("rhomboid")
        terminal.type("q")
        assert terminal.wait() == 0
    assert b"Traceback" not in terminal.shown
    assert b"   *   " in terminal.shown  # the LED that shows the power


def test_a_dumb_terminal_is_not_drawn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with on_terminal(DEVICE) as terminal:
        assert terminal.wait() == 2
    assert terminal.shown == b"audio-device: no terminal to draw on: use --script\r\n"


async def test_words_of_a_server_are_only_shown() -> None:
    face = face_after((0.0, CallLost(Call.AUDIO, EVIL)), (1.0, Disconnected(EVIL)))
    face.say(EVIL)
    shown = [line.text for line in face.lines]
    assert len(shown) == 5  # of both losses it is said that they broke the contract, too
    assert all(r"\x1b]0;owned\x07\x1b[2J\x9b\u202e[red]x[/red]" in text for text in shown)
    assert not UNSAFE.search(picture(face, 2.0, 0.0))
