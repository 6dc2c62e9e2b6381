"""A service manager is told of the start, the loop, reloads and the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.process.sd_notify import (
    START_S,
    keep_manager_informed,
    notify,
    reloading,
    watchdog_s,
)


class Manager:
    """The socket of a service manager."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def heard(self) -> list[list[str]]:
        """The messages that have come, each as its lines."""
        messages = []
        self.sock.setblocking(False)
        while True:
            try:
                messages.append(self.sock.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0", 1))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        for variable in ("WATCHDOG_USEC", "WATCHDOG_PID"):
            monkeypatch.delenv(variable, raising=False)
        yield Manager(sock)


async def test_start_and_end(manager: Manager, autojump_clock: MockClock) -> None:
    serving, stop = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_manager_informed, serving, stop, 10.0)
        await trio.sleep(START_S / 2)
        asked = manager.heard()
        assert [lines[0] for lines in asked] == ["EXTEND_TIMEOUT_USEC=60000000"] * 2
        serving.set()
        await wait_all_tasks_blocked()
        assert [lines[0] for lines in manager.heard()] == ["READY=1"]
        await trio.sleep(10 * START_S)
        assert manager.heard() == []  # there is no watchdog
        stop.set()
        await wait_all_tasks_blocked()
        assert [lines[:2] for lines in manager.heard()] == [
            ["STOPPING=1", "EXTEND_TIMEOUT_USEC=40000000"]
        ]
        nursery.cancel_scope.cancel()


async def test_the_loop_says_that_it_runs(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    serving, stop = trio.Event(), trio.Event()
    serving.set()
    stop.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_manager_informed, serving, stop, 10.0)
        await trio.sleep(9)
        nursery.cancel_scope.cancel()
    assert manager.heard().count(["WATCHDOG=1"]) == 5  # in a drain too


async def test_a_reload_begins_and_ends(manager: Manager) -> None:
    with reloading():
        (begun,) = manager.heard()
        assert begun[0] == "RELOADING=1"
        assert begun[1].startswith("MONOTONIC_USEC=")
    assert manager.heard() == [["READY=1"]]


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens", "vsock:2:1", "x"])
def test_where_no_manager_listens_nothing_happens(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify("READY=1")


def test_a_manager_that_reads_nothing_blocks_nothing(manager: Manager) -> None:
    sent = 0
    while notify("READY=1"):
        sent += 1
    assert sent


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [
        ("2000000", "", 2.0),
        ("2000000", str(os.getpid()), 2.0),
        ("2000000", "1", None),
        ("0", "", None),
        ("", "", None),
        ("-5", "", None),
    ],
    ids=["for all", "for this one", "for another", "zero", "empty", "negative"],  # no pid in a name
)
def test_how_often_is_asked_for(
    usec: str, pid: str, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_s() == seconds


def test_a_server_tells_its_manager(manager: Manager, tmp_path: Path) -> None:
    own = ["--port", "0", "--http", "off", "--data", "off", "--cache", str(tmp_path)]
    environment = {**os.environ, "WATCHDOG_USEC": "200000"}
    command = [sys.executable, "-m", "audio_server", *own]
    manager.sock.settimeout(20)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            for awaited, number in (
                ("READY=1", signal.SIGHUP),
                ("RELOADING=1", None),
                ("READY=1", signal.SIGTERM),
                ("STOPPING=1", None),
            ):
                beats = 0
                while (first := manager.sock.recv(4096).decode().split("\n")[0]) != awaited:
                    assert first.startswith(("WATCHDOG=1", "EXTEND_TIMEOUT_USEC="))
                    beats += 1
                if number is not None:
                    process.send_signal(number)
            assert process.wait(10) == 0
        finally:
            process.kill()
