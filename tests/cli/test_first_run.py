"""The two commands of the README, as somebody meets them who has just installed them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from free_ports import free_port
from on_terminal import on_terminal

SERVER = (sys.executable, "-m", "audio_server")
DEVICE = (sys.executable, "-c", "from audio_server.simulator.cli import main; main()")


def test_a_server_and_a_device_on_two_terminals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    port, http = str(free_port()), f"127.0.0.1:{free_port()}"
    with on_terminal([*SERVER, "--port", port, "--http", http]) as server:
        server.read_until("listening")
        server.read_until(http)
        with on_terminal([*DEVICE, "--port", port, "--no-play"]) as device:
            device.read_until("connected to")
            device.type("m")
            device.read_until("Mode: acknowledged")
            device.type("p")
            device.read_until("a take starts")
            device.read_until("\N{BLACK RIGHT-POINTING TRIANGLE} 0:0")
            device.type("s")
            device.read_until("Stop: acknowledged")
            device.read_until("\N{BLACK SQUARE} quiet")
            device.type("q")
            device.read_until("3 events")
            device.read_until("1 take")
            assert device.wait() == 0
        server.interrupt()
        server.read_until("stopped")
        assert server.wait() == 0
    for shown in (server.shown, device.shown):
        assert [word for word in (b"Traceback", b"rror", b"roken") if word in shown] == []


def test_a_device_before_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    port = str(free_port())
    with on_terminal([*DEVICE, "--port", port, "--no-play"]) as device:
        device.read_until("looking for")
        device.read_until("Connection refused: no server listens there")
        with on_terminal([*SERVER, "--port", port, "--http", "off"]) as server:
            device.read_until("connected to")
            server.interrupt()
            assert server.wait() == 0
        device.read_until("looking for")
        device.type("q")
        assert device.wait() == 0
