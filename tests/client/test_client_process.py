"""The commands as processes of their own: on a terminal, in a pipe, interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from fake_api import NOW, FakeServer, event, playing, row
from on_terminal import Terminal, on_terminal

COMMAND = (sys.executable, "-m", "audio_server")
THE_SCREEN_BEFORE = "?1049l"


@pytest.mark.parametrize(
    "end", [lambda terminal: terminal.type("q"), lambda terminal: terminal.interrupt()]
)
def test_top_until_told_to_quit(fake: FakeServer, end: Callable[[Terminal], None]) -> None:
    rows = [playing(f"device-{number}") for number in range(2000)]
    fake.streamed = [("all", {"now": NOW, "rows": rows, "gone": []})]
    fake.stays = True
    with on_terminal([*COMMAND, "top", "--sort", "state"], lines=12) as terminal:
        terminal.read_until("2,000 devices")
        terminal.read_until("device-0")
        terminal.read_until("1,992 more")
        terminal.type("s")
        terminal.read_until("by mode")
        end(terminal)
        terminal.read_until(THE_SCREEN_BEFORE)
        assert terminal.wait() == 0
    assert b"Traceback" not in terminal.shown


def test_top_waits_for_a_server_that_goes(fake: FakeServer) -> None:
    fake.streamed = [("all", {"now": NOW, "rows": [row("hall")], "gone": []})]
    with on_terminal([*COMMAND, "top"]) as terminal:
        terminal.read_until("hall")
        terminal.read_until("looking for it")
        fake.streamed = [("all", {"now": NOW, "rows": [row("hall"), row("attic")], "gone": []})]
        fake.stays = True
        terminal.read_until("2 devices")
        terminal.process.send_signal(signal.SIGTERM)
        terminal.read_until(THE_SCREEN_BEFORE)
        assert terminal.wait() == 0


def test_top_without_a_server_is_a_line(fake: FakeServer) -> None:
    with on_terminal([*COMMAND, "top", "--url", "http://127.0.0.1:1"]) as terminal:
        terminal.read_until("audio-server: http://127.0.0.1:1: Connection refused: no server")
        assert terminal.wait() == 1
    assert terminal.shown.count(b"\n") == 1


def test_devices_on_a_terminal_have_the_columns_that_fit(fake: FakeServer) -> None:
    fake.rows = [playing("hall"), row("attic")]
    with on_terminal([*COMMAND, "devices"], columns=60) as terminal:
        assert terminal.wait() == 0
    assert [line.split()[0] for line in terminal.shown.splitlines()[1:]] == [b"attic", b"hall"]
    assert b"address" not in terminal.shown


def test_no_devices_on_a_terminal_are_a_line(fake: FakeServer) -> None:
    with on_terminal([*COMMAND, "devices"]) as terminal:
        assert terminal.wait() == 0
    assert terminal.shown == b"no device is connected\r\n"


def test_an_interrupt_ends_what_follows(fake: FakeServer) -> None:
    fake.past, fake.stays = [event(1, "hall", "one")], True
    with subprocess.Popen(
        [*COMMAND, "logs", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline().endswith(b"one\n")
        process.send_signal(signal.SIGINT)
        assert process.communicate() == (b"", b"")
    assert process.returncode == 128 + signal.SIGINT


def test_a_reader_that_goes_away_ends_what_follows(fake: FakeServer) -> None:
    fake.past = [event(number, "hall", "x" * 1000) for number in range(500)]
    fake.stays = True
    with subprocess.Popen(
        [*COMMAND, "logs", "-f", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


@pytest.mark.parametrize("argv", [["top", "--help"], ["devices", "--help"], ["logs", "--help"]])
def test_help_loads_nothing_that_asks(argv: list[str]) -> None:
    heavy = ("httpx2", "trio", "ssl", "rich.live", "audio_server.client.connection")
    code = f"""
import atexit, sys
from audio_server.cli import main
atexit.register(lambda: print(*[name for name in {heavy} if name in sys.modules], file=sys.stderr))
main({argv})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr.split() == []
