"""The commands as processes of their own: on a terminal, in a pipe, interrupted."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fake_api import NOW, FakeServer, happening, playing, row

COMMAND = (sys.executable, "-m", "audio_server")


@contextmanager
def on_terminal(*argv: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command on a terminal of 100 by 12, whose far end is given."""
    far, near = pty.openpty()
    fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 100, 0, 0))
    sizeless = dict(os.environ)  # readline has put pytest's own size where Python does not see it
    try:
        with subprocess.Popen(
            [*COMMAND, *argv],
            env=sizeless,
            stdin=near,
            stdout=near,
            stderr=near,
            start_new_session=True,
        ) as process:
            os.close(near)
            yield process, far
            process.kill()
    finally:
        os.close(far)


def shown_until(far: int, text: bytes) -> bytes:
    """What is shown, up to a text or the end."""
    shown = b""
    while text not in shown:
        try:
            shown += os.read(far, 4096)
        except OSError:  # the terminal has nobody any more
            break
    return shown


@pytest.mark.parametrize(
    "end",
    [
        lambda process, far: os.write(far, b"q"),
        lambda process, far: process.send_signal(signal.SIGINT),
    ],
)
def test_top_until_told_to_quit(
    fake: FakeServer, end: Callable[[subprocess.Popen[bytes], int], object]
) -> None:
    rows = [playing(f"device-{number}") for number in range(2000)]
    fake.streamed = [("all", {"now": NOW, "rows": rows, "gone": []})]
    fake.stays = True
    with on_terminal("top", "--sort", "state") as (process, far):
        shown = shown_until(far, b"1,992 more")
        os.write(far, b"s")
        shown += shown_until(far, b"by mode")
        end(process, far)
        shown += shown_until(far, b"?1049l")  # the screen that was there before
        assert process.wait() == 0
    assert b"2,000 devices" in shown
    assert b"device-0" in shown
    assert b"Traceback" not in shown


def test_top_waits_for_a_server_that_goes(fake: FakeServer) -> None:
    fake.streamed = [("all", {"now": NOW, "rows": [row("hall")], "gone": []})]
    with on_terminal("top") as (process, far):
        shown = shown_until(far, b"looking for it")
        fake.streamed = [("all", {"now": NOW, "rows": [row("hall"), row("attic")], "gone": []})]
        fake.stays = True
        shown += shown_until(far, b"2 devices")
        os.write(far, b"\x04")
        shown_until(far, b"?1049l")
        assert process.wait() == 0
    assert b"hall" in shown


def test_top_without_a_server_is_a_line(fake: FakeServer) -> None:
    with on_terminal("top", "--url", "http://127.0.0.1:1") as (process, far):
        shown = shown_until(far, b"\n")
        assert shown == b"audio-server: http://127.0.0.1:1: Connection refused\r\n"
        assert process.wait() == 1


def test_devices_on_a_terminal_have_the_columns_that_fit(fake: FakeServer) -> None:
    fake.rows = [playing("hall"), row("attic")]
    with on_terminal("devices") as (process, far):
        shown = shown_until(far, b"attic").decode()
        assert process.wait() == 0
    assert "hall" in shown or "attic" in shown
    assert "worker" not in shown


def test_an_interrupt_ends_what_follows(fake: FakeServer) -> None:
    fake.past, fake.stays = [happening(1, "hall", "one")], True
    with subprocess.Popen(
        [*COMMAND, "logs", "-f"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline().endswith(b"one\n")
        process.send_signal(signal.SIGINT)
        assert process.communicate() == (b"", b"")
    assert process.returncode == 128 + signal.SIGINT


def test_a_reader_that_goes_away_ends_what_follows(fake: FakeServer) -> None:
    fake.past = [happening(number, "hall", "x" * 1000) for number in range(500)]
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
