"""How the process of a worker begins."""

from __future__ import annotations

import gc
import os
import socket
import sys
from pathlib import Path

import pytest

from audio_server.settings import Settings
from audio_server.workers import worker
from audio_server.workers.worker_config import WorkerConfig, read_config


class Enough(Exception):
    """The test has seen what it wanted."""


def test_it_never_stops_for_all_old_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the server in one process: a full collection is heard."""

    def stop(fd: int) -> None:
        raise Enough

    monkeypatch.setattr(worker, "read_config", stop)
    monkeypatch.setattr(sys, "argv", ["worker", "1"])
    monkeypatch.setattr(sys, "stdin", Path(os.devnull).open())  # noqa: SIM115
    before = gc.get_threshold()
    try:
        with sys.stdin, pytest.raises(Enough):
            worker.main()
        assert min(gc.get_threshold()[1:]) > 1_000_000
    finally:
        gc.set_threshold(*before)


def test_it_reads_its_configuration_and_nothing_after_it() -> None:
    config = WorkerConfig(Settings(port=7), 2, registry_fd=5)
    near, far = socket.socketpair()
    with near, far:
        near.sendall(config.pack() + b"frames")
        assert read_config(far.fileno()) == config
        assert far.recv(100) == b"frames"


def test_without_a_supervisor_there_is_no_configuration() -> None:
    near, far = socket.socketpair()
    near.close()
    with far, pytest.raises(EOFError):
        read_config(far.fileno())
