"""The server as a process of its own: when it is ready, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from audio_server.clips.folder import default_clips

ALONE = ("--cache", "cache", "--data", "off", "--http", "off")


@contextmanager
def server(
    *argv: str, alone: tuple[str, ...] = ALONE
) -> Iterator[tuple[subprocess.Popen[str], dict[str, object]]]:
    """A server on a free port and its first line, which is read when it listens."""
    command = [sys.executable, "-m", "audio_server", "--port", "0", *alone, *argv]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        try:
            yield process, json.loads(process.stderr.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_listening_means_ready_and_a_signal_ends_it(number, fail) -> None:
    with server() as (process, line):
        assert (line["event"], line["host"]) == ("listening", "127.0.0.1")
        assert line["clips"] == len(list(default_clips().glob("*.opus")))
        port = str(line["port"])
        said = fail("--port", port, *ALONE)
        remedy = "choose another port, or stop the program that listens there"
        assert said == f"audio-server: 127.0.0.1:{port}: Address already in use: {remedy}\n"
        process.send_signal(number)
        said, complaints = process.communicate()
    assert (process.returncode, said) == (0, "")
    assert [json.loads(line)["event"] for line in complaints.splitlines()] == [
        "stopping",
        "stopped",
    ]


def test_a_second_one_says_where_the_first_one_runs(tmp_path, fail) -> None:
    kept = ("--cache", "cache", "--data", "kept")
    with server("--http", "127.0.0.1:0", alone=kept) as (process, line):
        assert process.stderr is not None
        pages = json.loads(process.stderr.readline())
        while not (tmp_path / "kept" / "running.json").exists():
            time.sleep(0.01)
        where = f"devices at 127.0.0.1:{line['port']}, pages at {pages['url']}"
        for more in ((), ("--workers", "2")):
            said = fail("--port", "0", "--http", "off", *kept, *more)
            assert f"in use by another server (process {process.pid}: {where}); each" in said


def test_an_address_that_is_nobodys(fail) -> None:
    assert "256.0.0.1:" in fail("--host", "256.0.0.1")


def test_clips_that_are_not_there(fail) -> None:
    assert "nowhere: " in fail("--clips", "nowhere")
