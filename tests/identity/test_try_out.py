"""What a user does to try it: the commands as they are printed, in processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from audio_server.cli import main

Run = Callable[[str], subprocess.CompletedProcess[str]]

MODULES = {"audio-server": "audio_server.cli", "audio-device": "audio_server.simulator.cli"}
SCRIPT = ("--script", "connect mode wait:0.2 off")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was ever set."""
    for variable in os.environ:
        if variable.startswith("AUDIO_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("AUDIO_SERVER_CACHE", str(cache))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def command(line: str, *more: str) -> list[str]:
    program, *words = shlex.split(line)
    return [sys.executable, "-c", f"from {MODULES[program]} import main; main()", *words, *more]


def run(line: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(line, *more), capture_output=True, text=True, check=False)


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Run:
    """As `run`, in this process: ten times as fast."""

    def run_here(line: str) -> subprocess.CompletedProcess[str]:
        words = shlex.split(line)[1:]
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), said.out, said.err)

    return run_here


class Server:
    """A server that says what it does."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        self.process = process
        self._lines = iter(process.stderr)
        self.port = str(self.wait_logged("listening")["port"])

    def wait_logged(self, event: str) -> dict[str, Any]:
        """The next line about `event`."""
        entries = (json.loads(line) for line in self._lines)
        return next(entry for entry in entries if entry["event"] == event)


@contextmanager
def serving(line: str) -> Iterator[Server]:
    """A server on a free port."""
    flags = ("--port", "0", "--log-format", "json")
    with subprocess.Popen(command(line, *flags), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def test_mutual_tls_as_dev_certs_says_and_new_certificates_after_a_hangup() -> None:
    made = run("audio-server dev-certs 'my certs' --id kitchen --id hall")
    server, device = made.stdout.splitlines()
    with serving(f"{server} --workers 2") as running:
        port = ("--port", running.port)
        tried = run(device, *port, *SCRIPT)
        assert tried.returncode == 0, tried.stderr + tried.stdout
        assert "contract kept" in tried.stdout
        thief = run(device.replace("--id kitchen", "--id hall"), *port, *SCRIPT)
        assert (thief.returncode, "PERMISSION_DENIED" in thief.stdout) == (1, True)

        _, device = run("audio-server dev-certs new --id kitchen").stdout.splitlines()
        for name in ("ca.pem", "server.pem", "server.key"):
            Path("my certs", name).write_bytes(Path("new", name).read_bytes())
        running.process.send_signal(signal.SIGHUP)
        workers = {running.wait_logged("certificates reloaded")["worker"] for _ in range(2)}
        assert workers == {1, 2}
        tried = run(device, *port, *SCRIPT)
        assert tried.returncode == 0, tried.stderr + tried.stdout


def test_tokens_as_the_commands_give_them() -> None:
    token = run("audio-server devices enroll kitchen").stdout.strip()
    with serving("audio-server --tokens required --workers 2") as server:
        device = f"audio-device --id kitchen --port {server.port}"
        tried = run(device, "--token", token, *SCRIPT)
        assert tried.returncode == 0, tried.stderr + tried.stdout
        stranger = run(device, "--token", "guessed", *SCRIPT)
        assert (stranger.returncode, "UNAUTHENTICATED" in stranger.stdout) == (1, True)


def test_devices_are_listed_and_revoked(here: Run) -> None:
    assert here("audio-server devices list").stdout == "device  enrolled\n"
    enrolled = json.loads(here("audio-server devices enroll kitchen --json").stdout)
    assert enrolled["device_id"] == "kitchen"
    (listed,) = json.loads(here("audio-server devices list --json").stdout)
    assert listed["device_id"] == "kitchen"
    assert here("audio-server devices list").stdout.splitlines()[1].startswith("kitchen  20")
    again = here("audio-server devices enroll kitchen")
    assert (again.returncode, again.stdout) == (2, "")
    assert "kitchen is enrolled already" in again.stderr
    assert here("audio-server devices revoke kitchen").returncode == 0
    assert json.loads(here("audio-server devices list --json").stdout) == []
    assert here("audio-server devices revoke kitchen").returncode == 2
