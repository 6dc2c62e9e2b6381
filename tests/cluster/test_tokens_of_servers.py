"""Two servers that share an engine, one of them with workers, and the tokens of devices."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import trio
from engine import EngineProcess
from grpclib.const import Status
from members import PATIENCE_S
from node_process import PLAY, NodeProcess, open_node


async def devices(engine: EngineProcess, *words: str) -> tuple[int, str, str]:
    """Run a command on the tokens; return its status, its output and its complaint."""
    command = [sys.executable, "-m", "audio_server", "devices", *words, "--cluster", engine.url]
    done = await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
    return done.returncode, done.stdout.decode().strip(), done.stderr.decode().strip()


async def refused(node: NodeProcess, device_id: str, token: str | None) -> Status | None:
    """The status with which a device's call ends."""
    async with node.device(device_id, token) as device:
        await device.wait_ended()
        return device.status


async def until_known(node: NodeProcess, device_id: str, token: str) -> None:
    """Return when a device is let in."""
    with trio.fail_after(PATIENCE_S):
        while not await is_let_in(node, device_id, token):
            pass


async def is_let_in(node: NodeProcess, device_id: str, token: str) -> bool:
    async with node.device(device_id, token) as device:
        with trio.move_on_after(0.3):
            await device.ended.wait()
        return not device.ended.is_set()


async def test_tokens_are_given_and_taken_away_at_all_servers(
    engine: EngineProcess, tmp_path: Path
) -> None:
    flags = ("--http", "off", "--tokens", "required", "--cluster", engine.url)
    async with (
        open_node(tmp_path, *flags) as a,
        open_node(tmp_path, *flags, "--workers", "2") as b,
    ):
        status, token, _ = await devices(engine, "enroll", "x")
        assert (status, len(token)) == (0, 64)
        for node in (a, b):
            await until_known(node, "x", token)
            for wrong in (None, "wrong"):
                assert await refused(node, "x", wrong) is Status.UNAUTHENTICATED
            assert await refused(node, "nobody", token) is Status.UNAUTHENTICATED
        status, _, told = await devices(engine, "enroll", "x")
        assert (status, told) == (2, "audio-server: x is enrolled already; revoke it first")
        status, listed, _ = await devices(engine, "list", "--json")
        assert [one["device_id"] for one in json.loads(listed)] == ["x"]
        async with b.device("x", token) as device:
            await device.press(PLAY)
            await device.wait_sound()
            assert (await devices(engine, "revoke", "x"))[0] == 0
            with trio.fail_after(1):
                await device.ended.wait()
            assert device.status in (Status.UNAUTHENTICATED, Status.ABORTED)
        assert await refused(a, "x", token) is Status.UNAUTHENTICATED
        status, _, told = await devices(engine, "revoke", "x")
        assert (status, told) == (2, "audio-server: x is not enrolled")
        _, token, _ = await devices(engine, "enroll", "y")
        for node in (a, b):
            await until_known(node, "y", token)
        await check_outage(engine, token, a, b)


async def check_outage(engine: EngineProcess, token: str, *nodes: NodeProcess) -> None:
    """Devices that are known are let in, others have to come again."""
    engine.hang()
    try:
        await nodes[0].wait("cluster is down")
        await nodes[1].wait("records of devices cannot be read")
        await trio.sleep(1)  # of the other worker
        for node in nodes:
            async with node.device("y", token) as device:
                await device.press(PLAY)
                await device.wait_sound()
            assert await refused(node, "y", "wrong") is Status.UNAVAILABLE
            assert await refused(node, "nobody", token) is Status.UNAVAILABLE
        status, _, told = await devices(engine, "enroll", "z")
        assert (status, "the cluster at 127.0.0.1" in told) == (2, True)
    finally:
        engine.go_on()


@pytest.mark.parametrize("words", [("enroll", "x"), ("revoke", "x"), ("list",)])
async def test_without_an_engine_a_command_is_one_line(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "audio_server", "devices", *words]
    done = await trio.run_process(
        [*command, "--cluster", "redis://127.0.0.1:1"],
        check=False,
        capture_stdout=True,
        capture_stderr=True,
    )
    told = "audio-server: the cluster at 127.0.0.1:1: Connection refused\n"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (2, b"", told)
