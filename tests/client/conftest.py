"""A fake server, and commands that ask it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from client_run import Run, Said
from fake_api import FakeServer, served

from audio_server.cli import main


@pytest.fixture(autouse=True)
def alone(clean_environment: None) -> None:
    """Every test here runs commands."""


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that commands find by themselves."""
    server = FakeServer()
    with served(server):
        monkeypatch.setenv("AUDIO_SERVER_URL", server.url)
        yield server


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*argv: str) -> Said:
        with pytest.raises(SystemExit) as exit:
            main(argv)
        said = capsys.readouterr()
        return Said(int(exit.value.code or 0), said.out, said.err)

    return run
