"""Two supervisors of two workers and one engine, all of them processes."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import trio
from engine import EngineProcess
from grpclib.const import Status
from members import until
from node_process import MODE, PLAY, NodeProcess, open_node

MOVES = 12


def workers_of(node: NodeProcess) -> dict[int, int]:
    """The process of each worker."""
    return {line["worker"]: line["pid"] for line in node.find("worker started")}


async def test_a_device_moves_between_workers_of_two_machines(
    engine: EngineProcess, tmp_path: Path
) -> None:
    """While it plays, then while the engine hangs, then after workers and a machine have died."""
    flags = ("--http", "off", "--workers", "2", "--cluster", engine.url)
    async with (
        open_node(tmp_path, *flags) as a,
        open_node(tmp_path, *flags) as b,
        AsyncExitStack() as stack,
    ):
        for node in (a, b):
            await node.wait("cluster is up")
        device = await stack.enter_async_context(a.device("x"))
        mode = 0
        for number in range(MOVES):
            await device.press(MODE, PLAY)
            mode = (mode + 1) % 5
            await device.wait_sound()
            last, to = device, (a, a, b, b)[number % 4]
            device = await stack.enter_async_context(to.device("x"))
            await last.wait_ended()
            assert last.status is Status.ABORTED
            assert await device.mode() == mode
            assert not device.packets
        for node in (a, b):
            assert not [line for line in node.lines if line["level"] == "error"]
        await check_outage(stack, engine, b)
        await check_deaths(stack, engine, a, b)


async def check_outage(stack: AsyncExitStack, engine: EngineProcess, node: NodeProcess) -> None:
    """The engine hangs: between the workers of a machine nothing changes."""
    device = await stack.enter_async_context(node.device("y"))
    await device.press(MODE, PLAY)
    await device.wait_sound()
    engine.hang()
    try:
        await node.wait("cluster is down")
        for mode in (2, 3, 4):
            await device.press(MODE)
            last, device = device, await stack.enter_async_context(node.device("y"))
            await last.wait_ended()
            assert await device.mode() == mode
        new = await stack.enter_async_context(node.device("z"))
        await new.press(MODE, PLAY)
        await new.wait_sound()
    finally:
        engine.go_on()
    await until(lambda: engine.ask("HGET", "as:d:y", "m") == "4")
    await until(lambda: engine.ask("HGET", "as:d:z", "m") == "1")
    assert not device.ended.is_set()
    assert not new.ended.is_set()


async def check_deaths(
    stack: AsyncExitStack, engine: EngineProcess, a: NodeProcess, b: NodeProcess
) -> None:
    """Devices of workers, and then of a machine, come back in their modes."""
    ids = [f"device-{number}" for number in range(8)]
    for number, device_id in enumerate(ids):
        device = await stack.enter_async_context(a.device(device_id))
        await device.press(*[MODE] * (1 + number % 4))
    for pid in workers_of(a).values():
        os.kill(pid, signal.SIGKILL)
    await until(lambda: len(a.find("worker ready")) == 4)
    # The machine has released its devices, which are at no worker.
    await until(lambda: not any(engine.ask("HGET", f"as:d:{one}", "h") for one in ids))
    for number, device_id in enumerate(ids):
        device = await stack.enter_async_context((a, b)[number % 2].device(device_id))
        assert await device.mode() == 1 + number % 4
    a.process.kill()
    for number, device_id in enumerate(ids):
        device = await stack.enter_async_context(b.device(device_id))
        with trio.fail_after(30):
            assert await device.mode() == 1 + number % 4
