"""The life of one worker's process, with programs of a line for workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

import pytest
import trio

from audio_server.process import watchdog
from audio_server.process.addresses import Address
from audio_server.process.cores import worker_count
from audio_server.workers import process
from audio_server.workers.process import (
    PAUSE_MAX_S,
    PAUSE_S,
    End,
    Watch,
    WorkerProcess,
    pause_s,
)
from audio_server.workers.sockets import WorkerSockets

READS = "import sys; sys.stdin.read(1)"
"""Ends when it has been told something, or the supervisor is gone."""


def program(text: str) -> list[str]:
    return [sys.executable, "-S", "-E", "-c", text]


def test_pauses_grow_but_not_for_ever() -> None:
    pauses = [pause_s(quick_ends) for quick_ends in range(5000)]
    assert pauses[:4] == [0, 0, PAUSE_S, 2 * PAUSE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_MAX_S


async def test_one_that_ends_before_it_was_ever_ready_is_an_error() -> None:
    with pytest.raises(ChildProcessError, match=r"worker 3 ended before it was ready \(status 7\)"):
        await WorkerProcess(3).run(program("raise SystemExit(7)"), ())


async def test_one_that_ends_is_started_again_until_drained(log) -> None:
    worker = WorkerProcess(1)
    worker.on_ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program("raise SystemExit(7)"), ())
        first = await log.wait("worker ended")
        second = await log.wait("worker ended", 2)
        worker.drain()
    assert (first["worker"], first["status"], first["next_in_s"]) == (1, 7, 0)
    assert second["next_in_s"] == PAUSE_S


async def test_a_drain_is_heard_and_the_last_end_is_not_mourned(log) -> None:
    worker = WorkerProcess(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program(READS), ())
        await log.wait("worker started")
        worker.drain()
    assert [line["event"] for line in log.lines] == ["worker started"]


async def test_a_cancel_kills(log) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(WorkerProcess(1).run, program("while True: pass"), ())
            pid = (await log.wait("worker started"))["pid"]
            nursery.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_one_that_hangs_is_killed_and_another_one_started(log) -> None:
    worker = WorkerProcess(1)
    worker.on_ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program("import time; time.sleep(1000)"), ())
        await log.wait("worker started")
        assert worker.node is not None
        while not log.find("worker ended"):
            for _ in range(1000):
                worker.node.tell("x" * 1000)  # far more than the socket takes
            await trio.lowlevel.checkpoint()
        assert log.find("worker hangs")
        assert (await log.wait("worker ended"))["status"] == -signal.SIGABRT
        await log.wait("worker started", 2)
        nursery.cancel_scope.cancel()


NONSENSE = """
import socket, time
socket.socket(fileno=0).sendall(b"\\1\\0\\0\\0\\xc1" * 9)
time.sleep(1000)
"""


async def test_one_that_talks_nonsense_is_logged_and_replaced(log) -> None:
    worker = WorkerProcess(1)
    worker.on_ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program(NONSENSE), ())
        await log.wait("worker cannot be understood")
        assert (await log.wait("worker ended"))["status"] == -signal.SIGKILL
        await log.wait("worker started", 2)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("program_text", "stops", "status"),
    [
        ("import time; time.sleep(1000)", False, -signal.SIGABRT),
        ("import time; time.sleep(1000)", True, -signal.SIGKILL),
        (
            "import signal, time; signal.signal(6, signal.SIG_IGN); time.sleep(1000)",
            False,
            -signal.SIGKILL,
        ),
    ],
    ids=["hangs", "stopped", "ignores"],
)
async def test_one_whose_loop_stands_still_is_replaced(
    program_text: str, stops: bool, status: int, log, monkeypatch
) -> None:
    monkeypatch.setattr(watchdog, "START_S", 0.5)
    monkeypatch.setattr(process, "TRACEBACK_S", 0.3)
    ends: list[End] = []
    worker = WorkerProcess(1, watch=Watch(lambda: 0.0, 0.5), ended=ends.append)
    worker.on_ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program(program_text), ())
        pid = (await log.wait("worker started"))["pid"]
        if stops:
            os.kill(pid, signal.SIGSTOP)
        assert (await log.wait("worker hangs"))["reason"] == "its loop stood still for 0.5 s"
        assert (await log.wait("worker ended"))["status"] == status
        await log.wait("worker started", 2)
        nursery.cancel_scope.cancel()
    assert ends[0] is End.HUNG


class Unkillable:
    """A process that waits for a disk that does not answer: no signal reaches it."""

    pid = 4711
    stdin = None

    async def wait(self) -> int:
        await trio.sleep_forever()

    def kill(self) -> None:
        pass

    def send_signal(self, number: int) -> None:
        pass


async def test_one_that_cannot_be_killed_is_given_up(autojump_clock) -> None:
    stuck: Any = Unkillable()
    running = process._Running(stuck, WorkerSockets(()))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(running.end_hung)
        with trio.fail_after(60):
            assert await running.wait() == -signal.SIGKILL


async def test_one_that_cannot_be_started_again_is_tried_again(log) -> None:
    gone = Address(socket.AF_INET, ("192.0.2.1", 7))
    worker = WorkerProcess(1, addresses=[gone])
    with pytest.raises(OSError, match="choose an address"):
        await worker.run(program("raise SystemExit(7)"), ())
    worker.on_ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program("raise SystemExit(7)"), ())
        await log.wait("worker not started", 3)
        worker.drain()


async def test_one_that_hangs_in_a_drain_is_left_to_its_deadline(log, monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "START_S", 2.0)
    worker = WorkerProcess(1, watch=Watch(lambda: 0.0, 2.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, program("import time; time.sleep(1000)"), ())
        await log.wait("worker started")
        worker.drain()
        await trio.sleep(3.0)
        nursery.cancel_scope.cancel()
    assert [line["event"] for line in log.lines] == ["worker started"]


FOLLOWS = """
from audio_server.workers.parent_watch import follow_supervisor
follow_supervisor(0, within_s=0.01)
print("ready", flush=True)
while True: pass
"""


def test_one_that_hangs_does_not_outlive_its_supervisor() -> None:
    command = [sys.executable, "-c", FOLLOWS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.stdin.write(b"news")
        process.stdin.flush()
        time.sleep(0.05)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(5) == 1


def test_auto_is_the_cores_that_there_are_to_use(monkeypatch) -> None:
    assert worker_count(3) == 3
    assert worker_count("auto") >= 1
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(6), raising=False)
    assert worker_count("auto") == 6
