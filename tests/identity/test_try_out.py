"""What a user does to try it: the commands as they are printed, in processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MODULES = {"audio-server": "audio_server.cli", "audio-device": "audio_server.virtual.cli"}
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


@contextmanager
def serving(line: str) -> Iterator[str]:
    """A server; its port."""
    flags = ("--port", "0", "--log-format", "json")
    with subprocess.Popen(command(line, *flags), stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            events = (json.loads(line) for line in process.stderr)
            yield str(next(event["port"] for event in events if event["event"] == "listening"))
        finally:
            process.kill()


def test_mutual_tls_as_dev_certs_says() -> None:
    made = run("audio-server dev-certs 'my certs' --id kitchen --id hall")
    assert made.returncode == 0, made.stderr
    server, device = made.stdout.splitlines()
    with serving(server) as port:
        tried = run(device, "--port", port, *SCRIPT)
        assert tried.returncode == 0, tried.stderr + tried.stdout
        assert "contract kept" in tried.stdout
        thief = run(device.replace("--id kitchen", "--id hall"), "--port", port, *SCRIPT)
        assert (thief.returncode, "PERMISSION_DENIED" in thief.stdout) == (1, True)
        checked = run("audio-server check --tls-cert 'my certs/server.pem'", "--port", port)
        assert checked.returncode == 0, checked.stderr


def test_tokens_as_the_commands_give_them() -> None:
    token = run("audio-server devices enroll kitchen").stdout.strip()
    with serving("audio-server --tokens required") as port:
        device = f"audio-device --id kitchen --port {port}"
        tried = run(device, "--token", token, *SCRIPT)
        assert tried.returncode == 0, tried.stderr + tried.stdout
        stranger = run(device, "--token", "guessed", *SCRIPT)
        assert (stranger.returncode, "UNAUTHENTICATED" in stranger.stdout) == (1, True)


def test_devices_are_listed_and_revoked() -> None:
    assert run("audio-server devices list").stdout == "device  enrolled\n"
    enrolled = json.loads(run("audio-server devices enroll kitchen --json").stdout)
    assert enrolled["device_id"] == "kitchen"
    (listed,) = json.loads(run("audio-server devices list --json").stdout)
    assert listed["device_id"] == "kitchen"
    assert run("audio-server devices list").stdout.splitlines()[1].startswith("kitchen  20")
    again = run("audio-server devices enroll kitchen")
    assert (again.returncode, again.stdout) == (2, "")
    assert "kitchen is enrolled already" in again.stderr
    assert run("audio-server devices revoke kitchen").returncode == 0
    assert json.loads(run("audio-server devices list --json").stdout) == []
    assert run("audio-server devices revoke kitchen").returncode == 2
