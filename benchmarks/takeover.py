"""How long a device takes to move between two servers (`python -m benchmarks.takeover`).

Two servers and an engine (`redis-server`) are started here, each a process. One device connects to
them in turn, while it plays. The times are the device's own: from the begin of a connection to the
acknowledgement of its first press there, and to the end of its calls on the connection before.
With `--bare` it is only the claim: two nodes in this process, without servers.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
import trio
from grpclib.exceptions import GRPCError, StreamTerminatedError

from audio_server.cluster.engine import parse_engine
from audio_server.cluster.interface import Listener
from audio_server.cluster.link import Link
from audio_server.cluster.scripts import read_scripts
from audio_server.cluster.valkey import ValkeyCluster
from audio_server.rpc.client import channel_over
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import AudioStreamRequest, ButtonEvent, DeviceEvent

PLAY = DeviceEvent(button_event=ButtonEvent(button_id=ButtonEvent.BUTTON_4))


def main() -> None:
    """Measure, and print percentiles."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=1000, help="how often the device moves")
    parser.add_argument("--bare", action="store_true", help="claims alone, without servers")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    with tempfile.TemporaryDirectory() as folder, _engine(Path(folder)) as url:
        measure = _bare if options.bare else _whole
        for name, times in trio.run(measure, options.moves, Path(folder), url).items():
            print(f"{name}: p50 {_ms(times, 0.5)} ms, p99 {_ms(times, 0.99)} ms")


def _ms(times: Sequence[float], part: float) -> str:
    return f"{sorted(times)[int(part * (len(times) - 1))] * 1000:.2f}"


@contextmanager
def _engine(folder: Path) -> Iterator[str]:
    """An engine; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    options += ["--appendonly", "yes", "--loglevel", "warning", "--logfile", str(folder / "log")]
    with subprocess.Popen(["redis-server", *options]) as process:
        time.sleep(0.5)
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()


async def _bare(moves: int, _: Path, url: str) -> dict[str, list[float]]:
    """Claims of two nodes in turn, and the news of them."""
    granted: list[float] = []
    told: list[float] = []
    began = 0.0

    def moved(*_: object) -> None:
        told.append(time.perf_counter() - began)

    engine = parse_engine(url)
    nodes = [ValkeyCluster(Link(engine, read_scripts())) for _ in range(2)]
    async with nodes[0].joined(Listener(moved)), nodes[1].joined(Listener(moved)):
        for node in nodes:
            await node.is_up.wait_value(True)
        for number in range(moves):
            began = time.perf_counter()
            await nodes[number % 2].claim("x", 0)
            granted.append(time.perf_counter() - began)
            await trio.sleep(0.002)
    return {"claim granted": granted, "node before told": told}


async def _whole(moves: int, folder: Path, url: str) -> dict[str, list[float]]:
    """A device that plays moves between two servers."""
    first: list[float] = []
    ended: list[float] = []
    async with (
        _server(folder, url) as one,
        _server(folder, url) as two,
        trio.open_nursery() as nursery,
    ):
        over: _Over | None = None
        for number in range(moves):
            began, before = time.perf_counter(), over
            over = await nursery.start(_connect, (one, two)[number % 2])
            first.append(time.perf_counter() - began)
            if before is not None:
                ended.append(await before.wait() - began)
            await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    return {"first press acknowledged": first, "calls before ended": ended}


class _Over:
    """The time at which the calls of a connection ended."""

    def __init__(self) -> None:
        self._at = 0.0
        self._event = trio.Event()

    async def wait(self) -> float:
        """Return when they have, with the time."""
        with trio.fail_after(30):
            await self._event.wait()
        return self._at

    async def watch(self, audio: Any) -> None:
        """Take sound until the server ends the call."""
        try:
            while await audio.recv_message() is not None:
                pass
        except (GRPCError, StreamTerminatedError):
            pass
        self._at = time.perf_counter()
        self._event.set()


async def _connect(port: int, *, task_status: trio.TaskStatus[_Over]) -> None:
    """Be a device on a connection, and play, until the server ends the calls."""
    metadata = {"device_id": "x"}
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with channel_over(stream) as channel:
        untyped: Any = channel
        stub = DeviceServiceStub(untyped)
        async with (
            stub.EventStream.open(metadata=metadata) as events,
            stub.ServerAudioStream.open(metadata=metadata) as audio,
        ):
            await audio.send_message(AudioStreamRequest(start=True), end=True)
            await events.send_message(PLAY)
            assert await events.recv_message() is not None
            over = _Over()
            task_status.started(over)
            with suppress(GRPCError, StreamTerminatedError):
                await over.watch(audio)


@asynccontextmanager
async def _server(folder: Path, url: str) -> AsyncIterator[int]:
    """A node; gives its port."""
    command = [sys.executable, "-m", "audio_server", "--port", "0", "--http", "off"]
    command += ["--data", "off", "--log-format", "json", "--cache", str(folder / "cache")]
    command += ["--cluster", url]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AUDIO_")}
    process = await trio.lowlevel.open_process(command, stderr=subprocess.PIPE, env=environment)
    try:
        assert process.stderr is not None
        data = b""
        while b'"listening"' not in data or b'"cluster is up"' not in data:
            data += await process.stderr.receive_some()
        lines = [json.loads(line) for line in data.splitlines() if line.endswith(b"}")]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_drop, process.stderr)
            yield next(line["port"] for line in lines if line["event"] == "listening")
            nursery.cancel_scope.cancel()
    finally:
        process.kill()


async def _drop(stream: trio.abc.ReceiveStream) -> None:
    async for _ in stream:
        pass


if __name__ == "__main__":
    main()
