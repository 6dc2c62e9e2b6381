"""How the process of a worker begins."""

from __future__ import annotations

import gc
import socket
import sys

import pytest

from audio_server.workers import worker


class Enough(Exception):
    """The test has seen what it wanted."""


def test_it_never_stops_for_all_old_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the server in one process: a full collection is heard."""

    def stop(handover: socket.socket) -> None:
        handover.close()
        raise Enough

    near, far = socket.socketpair()
    monkeypatch.setattr(worker, "take_boot", stop)
    monkeypatch.setattr(sys, "argv", ["worker", "1", "0", str(far.detach()), "0"])
    before = gc.get_threshold()
    try:
        with near, pytest.raises(Enough):
            worker.main()
        assert min(gc.get_threshold()[1:]) > 1_000_000
    finally:
        gc.set_threshold(*before)
