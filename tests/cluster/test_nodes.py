"""Two servers and one engine, all of them processes: a device has one home, whatever happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import trio
from engine import EngineProcess
from grpclib.const import Status
from members import open_road
from node_process import MODE, PLAY, STOP, NodeProcess, open_node

MOVES = 30


class Pair(NamedTuple):
    """Two nodes."""

    a: NodeProcess
    b: NodeProcess


@asynccontextmanager
async def open_pair(engine: EngineProcess, folder: Path, *flags: str) -> AsyncIterator[Pair]:
    """Two nodes that share an engine."""
    flags = ("--http", "off", "--cluster", engine.url, *flags)
    async with open_node(folder, *flags) as a, open_node(folder, *flags) as b:
        for node in (a, b):
            await node.wait("cluster is up")
        yield Pair(a, b)


async def test_a_device_moves_while_it_plays(engine: EngineProcess, tmp_path: Path) -> None:
    """Many times: in its mode, and idle; the calls before end at once."""
    async with open_pair(engine, tmp_path) as pair, AsyncExitStack() as stack:
        device = await stack.enter_async_context(pair.a.device("x"))
        mode = 0
        for number in range(MOVES):
            await device.press(MODE)
            mode = (mode + 1) % 5
            await device.press(PLAY)
            await device.wait_sound()
            last, device = (
                device,
                await stack.enter_async_context(pair[(number + 1) % 2].device("x")),
            )
            await last.wait_ended()
            assert last.status is Status.ABORTED
            assert await device.mode() == mode
            assert not device.packets
        for node in pair:
            ends = [line["reason"] for line in node.find("call ended")]
            assert set(ends) == {"the device came back to another process of the server"}
            assert not [line for line in node.lines if line["level"] == "error"]


async def test_a_node_that_is_killed_leaves_its_devices_to_the_other(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with open_pair(engine, tmp_path) as (a, b):
        ids = [f"device {number}".replace(" ", "-") for number in range(20)]
        async with AsyncExitStack() as stack:
            for number, device_id in enumerate(ids):
                device = await stack.enter_async_context(a.device(device_id))
                await device.press(*[MODE] * (1 + number % 4))
            a.process.kill()
            for number, device_id in enumerate(ids):
                device = await stack.enter_async_context(b.device(device_id))
                assert await device.mode() == 1 + number % 4


async def test_nothing_that_plays_depends_on_the_engine(
    engine: EngineProcess, tmp_path: Path
) -> None:
    """It hangs: sound goes on, presses do what they do, new devices come, probes are answered."""
    flags = ("--http", "127.0.0.1:0", "--cluster", engine.url)
    async with open_node(tmp_path, *flags) as node, node.device("x") as device:
        await node.wait("cluster is up")
        await device.press(MODE)
        engine.hang()
        try:
            await device.press(PLAY)
            await device.wait_sound()
            await node.wait("cluster is down")
            began, heard = trio.current_time(), len(device.packets)
            await device.press(STOP)
            assert trio.current_time() - began < 3
            await device.press(MODE, MODE, MODE, PLAY)
            async with node.device("new") as new:
                await new.press(MODE, PLAY)
                await new.wait_sound()
            assert len(device.packets) > heard
            page = (await node.wait("pages"))["url"].rstrip("/")
            for path in ("healthz", "readyz"):
                done = await trio.run_process(
                    ["curl", "-fsS", f"{page}/{path}"], capture_stdout=True, check=False
                )
                assert done.returncode == 0
            told = await trio.run_process(["curl", "-fsS", f"{page}/metrics"], capture_stdout=True)
            values = dict(
                line.rsplit(" ", 1) for line in told.stdout.decode().splitlines() if line[0] != "#"
            )
            assert float(values["audio_server_cluster_up"]) == 0
            assert float(values["audio_server_cluster_memory_acks_total"]) >= 1
        finally:
            engine.go_on()
        await wait_mode(engine, "x", "3")
        await wait_mode(engine, "new", "1")


async def wait_mode(engine: EngineProcess, device_id: str, mode: str) -> None:
    with trio.fail_after(30):
        while engine.ask("HGET", f"as:d:{device_id}", "m") != mode:  # noqa: ASYNC110
            await trio.sleep(0.02)


async def test_a_device_that_plays_goes_on_while_its_node_reclaims_it(
    engine: EngineProcess, tmp_path: Path
) -> None:
    """It came while the engine was away, so its node did not know its mode."""
    async with open_road(engine.port) as road, open_pair(engine, tmp_path) as (_, b):
        async with b.device("x") as device:
            await device.press(MODE, MODE, MODE)
        road.cut()
        flags = ("--http", "off", "--cluster", f"redis://127.0.0.1:{road.port}")
        async with open_node(tmp_path, *flags) as node, node.device("x") as device:
            await device.press(PLAY)
            await device.wait_sound()
            road.heal()
            await node.wait("cluster is up")
            await until_owner(engine, "x", (await node.wait("cluster is up"))["node"])
            assert not device.ended.is_set()
            assert await device.mode() == 3


async def until_owner(engine: EngineProcess, device_id: str, node: str) -> None:
    with trio.fail_after(30):
        while engine.ask("HGET", f"as:d:{device_id}", "n") != node:  # noqa: ASYNC110
            await trio.sleep(0.02)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ["--cluster", "http://127.0.0.1"],
            "Invalid value for --cluster: the form is redis[s]://[USER@]HOST[:PORT], or "
            "redis[s]+sentinel://[USER@]HOST[:PORT],.../PRIMARY",
        ),
        (
            ["--cluster", "redis://me:not-to-be-shown@127.0.0.1"],
            "Invalid value for --cluster: a password in a URL is seen by others on the machine; "
            "name its file with --cluster-password-file",
        ),
        (
            ["--cluster", "redis://127.0.0.1/3"],
            "Invalid value for --cluster: the cluster is in database 0; no other one can be chosen",
        ),
        (
            ["--cluster", "redis+sentinel://127.0.0.1"],
            "Invalid value for --cluster: the Sentinels need the primary's name: "
            "redis+sentinel://HOST,HOST/PRIMARY",
        ),
        (
            ["--cluster", "redis://127.0.0.1", "--cluster-password-file", "/nowhere"],
            "/nowhere: No such file or directory",
        ),
        (
            ["--cluster", "redis://127.0.0.1/3", "--workers", "2"],
            "Invalid value for --cluster: the cluster is in database 0; no other one can be chosen",
        ),
    ],
)
def test_a_cluster_that_cannot_be_is_one_line(flags: list[str], line: str) -> None:
    command = [sys.executable, "-m", "audio_server", "--data", "off", "--http", "off", *flags]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr) == (2, f"audio-server: {line}\n")
