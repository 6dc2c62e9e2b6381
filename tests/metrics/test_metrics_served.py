"""`/metrics` of a server as its users run it, of one process and of several."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from counted import PLAY, STOP, Panel
from read_metrics import Read, complaints

from audio_server.metrics.text import CONTENT_TYPE
from audio_server.rpc.client import open_channel
from audio_server.wire.comms_grpc import DeviceServiceStub

SHIPPED = Path(__file__).parents[2] / "clips"
STOP_S = 30.0


class Scraped:
    """A server that runs; `url` is where its pages are, `port` where its devices are."""

    def __init__(self, url: str, port: int) -> None:
        self.url = url
        self.port = port

    async def read(self) -> Read:
        """What Prometheus sees now; nothing may be wrong with it."""
        content_type, text = await trio.to_thread.run_sync(self._get)
        assert content_type == CONTENT_TYPE
        assert complaints(text) == []
        return Read(text)

    def _get(self) -> tuple[str, str]:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            return answer.headers["content-type"], answer.read().decode()

    @asynccontextmanager
    async def device(self, device_id: str) -> AsyncIterator[Panel]:
        """A device on a connection of its own."""
        async with open_channel("127.0.0.1", self.port) as channel:
            untyped: Any = channel
            stub = DeviceServiceStub(untyped)
            panel = Panel(stub, device_id)
            metadata = {"device_id": device_id}
            async with stub.EventStream.open(metadata=metadata) as panel.events:
                await panel.press(STOP)
                yield panel


@asynccontextmanager
async def scraped(folder: Path, *flags: str) -> AsyncIterator[Scraped]:
    """Serve for as long as the block; it must end well."""
    command = [sys.executable, "-m", "audio_server", "--port", "0", "--http", "127.0.0.1:0"]
    folders = ["--clips", str(SHIPPED), "--cache", str(folder), "--data", "off"]
    process = await trio.lowlevel.open_process(
        [*command, *folders, "--log-format", "json", *flags],
        stderr=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if not k.startswith("AUDIO_")},
    )
    try:
        yield await _started(process)
        process.terminate()
        with trio.fail_after(STOP_S):
            assert await process.wait() == 0
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _started(process: trio.Process) -> Scraped:
    """The server, once it has said where it is. What it says later fits into the pipe."""
    assert process.stderr is not None
    said = b""
    async for data in process.stderr:
        said += bytes(data)
        facts: dict[str, Any] = {}
        for line in said.split(b"\n")[:-1]:
            facts |= json.loads(line)
        if "url" in facts and "port" in facts:
            return Scraped(facts["url"], facts["port"])
    raise AssertionError(f"the server did not start: {said!r}")


@pytest.mark.parametrize("workers", [1, 2])
async def test_all_devices_of_all_workers_are_counted(workers: int, tmp_path: Path) -> None:
    async with scraped(tmp_path, "--workers", str(workers)) as server:
        for number in range(4):
            async with server.device(f"device-{number}"):
                pass
        async with server.device("device-0") as device, device.listening():
            await device.press(PLAY)
            await device.heard.wait()
            await device.press(STOP)
            read = await server.read()
            with trio.fail_after(30):
                while not read("loop_lag_seconds_count"):  # looked at a few times a second
                    read = await server.read()
    assert (read("devices_connected"), read("device_arrivals_total")) == (1, 5)
    assert read("device_reconnects_total") == 1
    assert read("takes_total", outcome="cut") == 1
    assert read("sound_packets_total") >= 15
    assert read("press_ack_seconds_count") == 7
    assert (read("connections_open"), read("connections_total")) == (1, 5)
    processes = {"0"} if workers == 1 else {"0", "1", "2"}
    for name in processes:
        assert read("process_resident_memory_bytes", worker=name) > 0 or sys.platform != "linux"
