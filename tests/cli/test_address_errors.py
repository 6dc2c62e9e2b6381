"""An address that cannot be listened on is one line: the address, the problem, the remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

CHOOSE = "choose an address of this machine"


@pytest.fixture
def alone(tmp_path: Path) -> list[str]:
    """What keeps a server from everything outside of a folder."""
    return ["--data", "off", "--cache", str(tmp_path), "--port", "0"]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "a" * 64, "a..b"])
def test_a_host_that_is_not_here(host: str, workers: str, alone: list[str], fail) -> None:
    said = fail(*alone, "--host", host, "--http", "off", "--workers", workers)
    assert said.startswith(f"audio-server: {host}")
    assert CHOOSE in said


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_pages_that_cannot_be_here(host: str, workers: str, alone: list[str], fail) -> None:
    said = fail(*alone, "--http", f"{host}:0", "--workers", workers)
    assert said.startswith(f"audio-server: {host}")
    assert CHOOSE in said


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_of_the_pages_that_is_taken(
    taken: int, workers: str, alone: list[str], fail
) -> None:
    at = f"127.0.0.1:{taken}"
    said = fail(*alone, "--http", at, "--workers", workers)
    assert said.startswith(f"audio-server: {at}: Address already in use: choose another port")
