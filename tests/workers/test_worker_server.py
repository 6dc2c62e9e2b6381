"""The real thing: a supervisor, its workers, and signals."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio
from free_ports import free_ports
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from worker_server import MODE, PLAY, Panel, WorkerServer, open_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[WorkerServer]:
    async with open_server("--workers", "2", folder=tmp_path) as server:
        yield server


async def met(stack: AsyncExitStack, server: WorkerServer, device_id: str, worker: int) -> Panel:
    """A device that has connected until it met a worker; its other connections stay open."""
    while True:
        panel = await stack.enter_async_context(server.device(device_id))
        if panel.worker == worker:
            return panel


async def ends_well(panel: Panel) -> None:
    """What plays gets its `is_end`, and then the calls end so that the device comes back."""
    with pytest.raises(GRPCError) as ended:
        await panel.events.recv_message()
    assert ended.value.status is Status.UNAVAILABLE
    packet = None
    with suppress(GRPCError):
        while packet is None or not packet.is_end:
            packet = await panel.audio.recv_message()
    assert packet is not None
    assert packet.is_end


async def gone(pid: int) -> None:
    """Return when a process has ended that need not be our child."""
    with suppress(ProcessLookupError), trio.fail_after(30):
        await trio.lowlevel.wait_readable(os.pidfd_open(pid))


async def test_a_device_meets_another_worker_and_one_that_is_killed(server) -> None:
    async with AsyncExitStack() as stack:
        old = await met(stack, server, "one", 1)
        await old.press(MODE, MODE, MODE)
        new = await met(stack, server, "one", 2)
        assert await new.mode() == 3
        with pytest.raises(GRPCError) as ended:
            await old.events.recv_message()
        assert ended.value.status is Status.ABORTED
        assert await (await met(stack, server, "one", 1)).mode() == 3
        await check_kill(stack, server)


async def check_kill(stack: AsyncExitStack, server: WorkerServer) -> None:
    """A worker that is killed is replaced, and the devices of the others play on."""
    stays = await met(stack, server, "stays", 1)
    await stays.press(MODE, PLAY)
    lost = await met(stack, server, "lost", 2)
    await lost.press(MODE, MODE, PLAY)

    os.kill(server.pids[2], signal.SIGKILL)
    assert (await server.log.wait("worker ended"))["status"] == -signal.SIGKILL
    async with server.device("lost") as back:
        assert await back.mode() == 2
    await server.log.wait("worker ready", 3)
    back = await met(stack, server, "lost", 2)
    assert await back.mode() == 2
    for _ in range(20):
        packet = await stays.audio.recv_message()
        assert not packet.is_end


async def test_one_signal_drains_all_even_if_all_get_it(server) -> None:
    """As Ctrl-C has it: it goes to every process of a terminal."""
    async with AsyncExitStack() as stack:
        panels = [await met(stack, server, f"at-{worker}", worker) for worker in (1, 2)]
        for panel in panels:
            await panel.press(PLAY)
        os.killpg(server.process.pid, signal.SIGINT)
        for panel in panels:
            await ends_well(panel)
        with trio.fail_after(30):
            assert await server.process.wait() == 0
    for pid in server.pids.values():
        await gone(pid)
    assert server.log.find("stopped")
    assert [line for line in server.log.lines if line["level"] in ("warning", "error")] == []
    stopping = {line.get("worker") for line in server.log.find("stopping")}
    assert stopping == {None, 1, 2}


async def test_a_second_signal_ends_all_at_once(server) -> None:
    async with AsyncExitStack() as stack:
        (panel,) = [await met(stack, server, "one", 1)]
        os.kill(server.pids[1], signal.SIGSTOP)  # it will not drain
        server.process.send_signal(signal.SIGTERM)
        await server.log.wait("stopping", 2)
        server.process.send_signal(signal.SIGTERM)
        with trio.fail_after(30):
            assert await server.process.wait() == 0
        with pytest.raises(GRPCError):
            await panel.events.recv_message()
    for pid in server.pids.values():
        await gone(pid)


async def test_workers_do_not_outlive_their_supervisor(server) -> None:
    async with AsyncExitStack() as stack:
        panel = await met(stack, server, "one", 1)
        await panel.press(PLAY)
        server.process.kill()
        await ends_well(panel)
    for pid in server.pids.values():
        await gone(pid)


async def test_a_worker_that_is_asked_to_end_drains_and_is_replaced(server) -> None:
    async with AsyncExitStack() as stack:
        panel = await met(stack, server, "one", 1)
        await panel.press(MODE, PLAY)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            os.kill(server.pids[1], ignored)
        await panel.press(MODE)
        os.kill(server.pids[1], signal.SIGTERM)
        await ends_well(panel)
        assert (await server.log.wait("worker ended"))["status"] == 0
        assert await (await met(stack, server, "one", 1)).mode() == 2


async def test_a_worker_that_hangs_is_replaced_and_tells_where(tmp_path: Path) -> None:
    async with open_server("--workers", "2", "--hang-s", "2", folder=tmp_path) as server:
        os.kill(server.pids[1], signal.SIGSTOP)
        assert (await server.log.wait("worker hangs"))["worker"] == 1
        await server.log.wait("worker ready", 3)
        for number in range(10):
            with trio.fail_after(30):
                async with server.device(f"device-{number}"):
                    pass
        os.kill(server.pids[2], signal.SIGABRT)  # as it is sent to one that hangs
        await server.log.wait("Fatal Python error: Aborted")
        assert (await server.log.wait("worker ended", 2))["status"] == -signal.SIGABRT


def run(*flags: str) -> str:
    """The one line of a server that cannot start."""
    command = [sys.executable, "-m", "audio_server", "--workers", "2", *flags]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_what_keeps_it_from_starting_is_said_once(tmp_path) -> None:
    folders = ["--cache", str(tmp_path / "cache"), "--data", str(tmp_path / "data")]
    clip = tmp_path / "0.opus"
    clip.touch()
    assert str(clip) in run("--clips", str(tmp_path), *folders)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = run("--port", str(port), *folders)
    remedy = "choose another port, or stop the program that listens there"
    assert line == f"audio-server: 127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}: {remedy}\n"


async def test_workers_drain_one_device_after_the_other(tmp_path: Path) -> None:
    """A take ends meanwhile, and idle devices go before the last second."""
    flags = ("--workers", "2", "--drain-s", "8", "--grace-s", "5")
    async with open_server(*flags, folder=tmp_path) as server, AsyncExitStack() as stack:
        panels = [
            await stack.enter_async_context(server.device(f"device-{number}"))
            for number in range(8)
        ]
        plays = panels[0]
        await plays.press(PLAY)
        start = trio.current_time()
        server.process.send_signal(signal.SIGTERM)
        left_s: list[float] = []

        async def wait_left(panel: Panel) -> None:
            with pytest.raises(GRPCError) as ended:
                await panel.events.recv_message()
            assert ended.value.status is Status.UNAVAILABLE
            left_s.append(trio.current_time() - start)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for panel in panels:
                    nursery.start_soon(wait_left, panel)
            assert await server.process.wait() == 0
        packets = []
        with suppress(GRPCError):
            while True:
                packets.append(await plays.audio.recv_message())
        assert packets[-1].is_end
    assert left_s[-1] - left_s[0] > 2
    assert len({round(after * 2) for after in left_s}) > 3
    assert server.log.find("stopping")[0]["drain_s"] == 8


async def test_each_worker_is_met_at_its_own_port(tmp_path: Path) -> None:
    """Also one that was started again; a device's calls may come to several ports."""
    first = free_ports(2)
    flags = ("--workers", "2", "--worker-ports", str(first))
    async with open_server(*flags, folder=tmp_path) as server:
        assert server.log.find("listening")[0]["worker_ports"] == f"{first}-{first + 1}"
        for number in range(4):
            for worker in (1, 2):
                async with server.device(f"device-{number}", first + worker - 1) as panel:
                    assert panel.worker == worker
        async with server.device("at-one", first) as stays:
            os.kill(server.pids[2], signal.SIGKILL)
            await server.log.wait("worker ready", 3)
            async with server.device("at-two", first + 1) as panel:
                assert panel.worker == 2
            await stays.press(MODE)
        server.process.terminate()
        with trio.fail_after(60):
            assert await server.process.wait() == 0


async def test_the_only_worker_has_its_port_too(tmp_path: Path) -> None:
    first = free_ports(1)
    async with open_server("--worker-ports", str(first), folder=tmp_path) as server:
        for port in (server.port, first):
            async with await trio.open_tcp_stream("127.0.0.1", port):
                pass
        server.process.terminate()
        with trio.fail_after(60):
            assert await server.process.wait() == 0
