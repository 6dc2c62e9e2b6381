"""A server whose standard error stalls, is gone, or never was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from standing import ENDS_WITHIN_S, stalled_pipe, stalled_terminal, standing

LAST_LINES_S = 1.0


@pytest.mark.parametrize(
    ("stalled", "workers"), [(stalled_pipe, "1"), (stalled_pipe, "2"), (stalled_terminal, "1")]
)
def test_a_stalled_pipe_or_terminal_stops_no_server_and_no_sigterm(
    stalled: Callable[[], AbstractContextManager[int]], workers: str, tmp_path: Path
) -> None:
    flags = ("--workers", workers, "--cache", str(tmp_path / "cache"))
    with stalled() as stderr, standing(*flags, stderr=stderr) as server:
        server.offend(20)
        assert server.answers()
        assert server.stop() == 0


def test_a_pipe_that_is_read_again_has_what_fitted_and_the_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file, standing(stderr=file.fileno()) as server:
        server.offend(3)
        assert server.stop() == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events[0] == "listening"
    assert events.count("peer broke the rules") == 3
    assert events[-2:] == ["stopping", "stopped"]


def test_a_reader_that_goes_away_ends_nothing() -> None:
    reading, writing = os.pipe()
    with standing(stderr=writing) as server:
        os.close(reading)
        os.close(writing)
        server.offend(3)
        assert server.answers()
        assert server.stop() == 0


def files_of(pid: int) -> list[str]:
    return [str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in range(3)]


@pytest.mark.parametrize("closed", [("stderr",), ("stdin", "stdout", "stderr")])
def test_closed_files_are_no_sockets(closed: tuple[str, ...]) -> None:
    files = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    with standing(**{**files, **dict.fromkeys(closed)}) as server:
        assert files_of(server.process.pid) == ["/dev/null"] * 3
        server.offend(3)
        assert server.answers()
        assert server.stop() == 0


def test_a_device_whose_trace_nobody_reads_plays_its_script() -> None:
    code = "from audio_server.simulator.cli import main; main()"
    script = ["--script", "connect wait:1 mode mode mode stop wait:1", "--trace", "--devices", "40"]
    with standing(stderr=subprocess.DEVNULL) as server, stalled_pipe() as stderr:
        command = [sys.executable, "-c", code, "--port", str(server.port), *script]
        done = subprocess.run(
            command, stderr=stderr, stdout=subprocess.PIPE, check=False, timeout=ENDS_WITHIN_S
        )
    assert done.stdout.count(b" connection, ") == 40


RAISE = """
import sys, threading
from audio_server.process.queued_stderr import queue_stderr
assert queue_stderr() is sys.stderr
print("begun", file=sys.stderr)
print("no newline", end="", file=sys.stderr)
raise ValueError("the end")
"""


def test_a_traceback_is_seen_whole_and_in_its_place() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAISE], stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("begun\nno newlineTraceback (most recent call last):\n")
    assert done.stderr.endswith("ValueError: the end\n")


def test_the_last_words_of_a_stalled_process_have_a_second() -> None:
    with stalled_pipe() as stderr:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", RAISE], stderr=stderr, check=False, timeout=ENDS_WITHIN_S
        )
        assert done.returncode == 1
        assert time.monotonic() - began >= LAST_LINES_S


def test_a_server_that_cannot_start_says_why_and_is_no_hostage() -> None:
    command = [sys.executable, "-m", "audio_server", "--host", "256.0.0.1", "--data", "off"]
    told = subprocess.run(command, stderr=subprocess.PIPE, check=False, timeout=ENDS_WITHIN_S)
    assert told.returncode == 2
    assert told.stderr.startswith(b"audio-server: 256.0.0.1:")
    assert told.stderr.count(b"\n") == 1
    with stalled_pipe() as stderr:
        mute = subprocess.run(command, stderr=stderr, check=False, timeout=ENDS_WITHIN_S)
    assert mute.returncode == 2


@pytest.mark.parametrize(
    ("argv", "status"), [(("nonsense",), 2), (("devices", "--url", "http://127.0.0.1:1"), 1)]
)
@pytest.mark.parametrize("end", ["full", "gone"])
def test_an_error_that_cannot_be_written_has_its_status(
    argv: tuple[str, ...], status: int, end: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, "-m", "audio_server", *argv],
        stderr=full if end == "full" else writing,
        check=False,
    )
    os.close(writing)
    os.close(full)
    assert done.returncode == status
