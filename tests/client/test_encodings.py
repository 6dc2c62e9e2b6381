"""Commands on terminals that do not have all characters."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from fake_api import NOW, FakeServer, event, playing, row
from on_terminal import on_terminal
from terminal_encodings import ENCODINGS, OTHERS

COMMAND = (sys.executable, "-m", "audio_server")
NAME = "Küche 教室 ●"


@pytest.fixture(params=ENCODINGS)
def encoding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for variable in OTHERS:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in ENCODINGS[request.param].items():
        monkeypatch.setenv(variable, value)
    name: str = request.param
    return name


@pytest.fixture
def house(fake: FakeServer) -> FakeServer:
    clip = {"clip": "3 Glöckchen \u2013 ▶", "mode": 3, "seconds": 9, "position_s": 1, "at": NOW}
    fake.rows = [playing("hall", name=NAME, playing=clip), row("attic", mode_name="△")]
    fake.past = [event(1, "hall", f"is called {NAME}")]
    fake.answer = fake.rows[0]
    return fake


def test_signs_stand_for_characters_that_are_not_there(house: FakeServer, encoding: str) -> None:
    done = subprocess.run([*COMMAND, "devices"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    attic, hall = done.stdout.decode("latin-1").splitlines()[1:]
    assert "**.+^*" in hall
    assert "???? *" in hall
    assert attic.index("10.0.0.7") == hall.index("10.0.0.7")


@pytest.mark.parametrize("argv", [("logs",), ("devices", "show", "hall"), ("--help",)])
def test_no_command_needs_more_than_ascii(
    house: FakeServer, argv: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii:strict")
    done = subprocess.run([*COMMAND, *argv], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_screen_is_drawn(house: FakeServer, encoding: str) -> None:
    house.streamed = [("all", {"now": NOW, "rows": house.rows, "gone": []})]
    house.stays = True
    with on_terminal([*COMMAND, "top"]) as terminal:
        terminal.read_until("hall")
        terminal.type("q")
        assert terminal.wait() == 0
    assert b"Traceback" not in terminal.shown
    assert b"???? *" in terminal.shown


def test_json_is_whole(house: FakeServer, encoding: str) -> None:
    done = subprocess.run([*COMMAND, "devices", "--json"], capture_output=True, check=True)
    assert json.loads(done.stdout)["rows"] == house.rows


def test_an_error_keeps_all_of_a_name(encoding: str) -> None:
    done = subprocess.run(
        [*COMMAND, "clips", "list", "--clips", "教室"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    names = b"\\u6559\\u5ba4", b"??????"  # the second where the locale took it for six bytes
    assert done.stderr.startswith(tuple(b"audio-server: " + name + b": " for name in names))


def test_a_name_that_the_locale_cannot_decode_is_sent_as_it_was(
    house: FakeServer, encoding: str
) -> None:
    subprocess.run([*COMMAND, "rename", "hall", NAME], capture_output=True, check=True)
    assert house.asked[-1] == ("PATCH", "/api/devices/hall", {"name": NAME})
