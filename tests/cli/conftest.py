"""The command line in this process (fast), and as a process of its own (true)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import trio

from audio_server.cli import main
from audio_server.settings import Settings

Serve = Callable[..., Settings]
Fail = Callable[..., str]


@pytest.fixture(autouse=True)
def alone(clean_environment: None, logs_as_they_were: None) -> None:
    """Every test here runs commands."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Run the command with a server that stops at once; gives the settings it was started with."""
    started: list[Settings] = []

    async def record(settings: Settings, **_: object) -> None:
        await trio.lowlevel.checkpoint()
        started.append(settings)

    monkeypatch.setattr("audio_server.app.serve", record)

    def run(*argv: str) -> Settings:
        with pytest.raises(SystemExit) as exit:
            main(argv)
        assert not exit.value.code
        return started.pop()

    return run


@pytest.fixture
def fail(capsys: pytest.CaptureFixture[str]) -> Fail:
    """Run a command that must fail as a user's mistake; gives its one line."""

    def run(*argv: str) -> str:
        with pytest.raises(SystemExit) as exit:
            main(argv)
        said = capsys.readouterr()
        assert exit.value.code == 2
        assert said.out == ""
        assert said.err.startswith("audio-server: ")
        assert said.err.endswith("\n")
        assert said.err.count("\n") == 1, said.err
        return said.err

    return run


@pytest.fixture
def run_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `audio-server ARGV` as a process of its own."""

    def run(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "audio_server", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]

    return run
