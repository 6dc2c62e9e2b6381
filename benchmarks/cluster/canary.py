"""A device that plays in a process of its own, so that it hears nothing of a busy load side.

`python -m benchmarks.cluster.canary PORT`: says `playing` once it is, and at the end of its input
what it has heard since.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from benchmarks.cluster.devices import Device, select, switch_on
from benchmarks.cluster.processes import PATIENCE_S, until
from benchmarks.frames import Button
from benchmarks.tally import Seen


class Canary:
    """The process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process

    async def heard(self) -> Seen:
        """End it; return what it has heard since it began to play, and its faults."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        await self._process.stdin.aclose()
        with trio.fail_after(PATIENCE_S):
            told = json.loads(b"".join([bytes(part) async for part in self._process.stdout]))
        lateness = Counter({int(bucket): count for bucket, count in told["lateness"].items()})
        return Seen(told["packets"], lateness, faults=Counter(told["faults"]))


@asynccontextmanager
async def open_canary(port: int) -> AsyncIterator[Canary]:
    """A canary at a port, which plays from the begin of the block on."""
    command = [sys.executable, "-m", "benchmarks.cluster.canary", str(port)]
    process = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        with trio.fail_after(PATIENCE_S):
            assert await process.stdout.receive_some(8) == b"playing\n"
        yield Canary(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _main(port: int) -> None:
    async with trio.open_nursery() as nursery:
        device = Device("canary", port)
        await switch_on([device], nursery)
        await select(device, 1)
        await device.press(Button.PLAY)
        await until(lambda: device.player.playing)
        device.tally.clear()
        sys.stdout.write("playing\n")
        sys.stdout.flush()
        await trio.to_thread.run_sync(sys.stdin.read)
        seen = Seen.of(device.tally)
        if len(device.came) > 1:
            seen.faults["it has lost its connection"] += 1
        told = {"packets": seen.packets, "lateness": seen.lateness, "faults": seen.faults}
        print(json.dumps(told))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_main, int(sys.argv[1]))
