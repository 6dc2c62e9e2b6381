"""An engine and nodes, each a process of this one's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import trio

PATIENCE_S = 60.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Engine:
    """`redis-server`, which keeps each write before it answers."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The place of the engine, for `--cluster`."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin; `wait_answers` tells when it is there."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        command += ["--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "always"]
        with (self._folder / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    async def wait_answers(self) -> None:
        """Return when it answers, and has read its file."""
        with trio.fail_after(PATIENCE_S):
            while True:
                with suppress(OSError):
                    if b"PONG" in await self._ask(b"PING"):
                        return
                await trio.sleep(0.01)

    async def modes(self, device_ids: list[str]) -> list[int]:
        """Return the mode of each device, as it is kept."""
        rows = b"".join(b"HGET as:d:%s m\r\n" % one.encode() for one in device_ids)
        answer = await self._ask(rows[:-2], answers=len(device_ids))
        return [int(line[1:] if line[:1] == b":" else line) for line in _bulks(answer)]

    async def _ask(self, command: bytes, answers: int = 1) -> bytes:
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with stream:
            await stream.send_all(command + b"\r\n")
            data = b""
            while len(_bulks(data)) < answers:
                data += await stream.receive_some() or b"+\r\n" * answers
            return data

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _bulks(answer: bytes) -> list[bytes]:
    """The texts of answers; "0" for one that is not there."""
    lines, texts = answer.split(b"\r\n")[:-1], []
    while lines:
        line = lines.pop(0)
        if line == b"$-1":
            texts.append(b"0")
        elif line[:1] != b"$":
            texts.append(line)
        elif lines:
            texts.append(lines.pop(0))
    return texts


@contextmanager
def open_engine(folder: Path) -> Iterator[Engine]:
    """An engine for the block."""
    engine = Engine(folder, free_port())
    engine.start()
    try:
        yield engine
    finally:
        engine.kill()


class Server:
    """A node that runs, and the lines of its log with the time at which each came."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.port = 0
        self.lines: list[tuple[float, dict[str, Any]]] = []

    def find(self, event: str) -> list[float]:
        """The times of an event."""
        return [at for at, line in self.lines if line.get("event") == event]

    async def wait(self, event: str, count: int = 1) -> float:
        """Return the time at which an event has happened so often."""
        await until(lambda: len(self.find(event)) >= count)
        return self.find(event)[count - 1]

    @property
    def faults(self) -> list[dict[str, Any]]:
        """Lines that tell of a fault of the server's own."""
        return [line for _, line in self.lines if line.get("level") == "error"]

    def drain(self) -> None:
        """Have it end as an operator does."""
        self.process.send_signal(signal.SIGTERM)

    async def read_log(self) -> None:
        """Read for ever."""
        rest = b""
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            *lines, rest = (rest + bytes(data)).split(b"\n")
            parsed = [json.loads(line) for line in lines if line.startswith(b"{")]
            self.lines += [(time.monotonic(), line) for line in parsed]
            for line in parsed:
                if line["event"] == "listening":
                    self.port = line["port"]


@asynccontextmanager
async def open_server(folder: Path, url: str, *flags: str) -> AsyncIterator[Server]:
    """A node for the block; killed at its end."""
    command = [sys.executable, "-m", "audio_server", "--port", "0", "--http", "off"]
    command += ["--data", "off", "--log-format", "json", "--cache", str(folder / "cache")]
    command += ["--cluster", url, "--trusted-proxies", "127.0.0.1", *flags]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AUDIO_")}
    process = await trio.lowlevel.open_process(
        command, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    server = Server(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.read_log)
            await server.wait("listening")
            await server.wait("cluster is up")
            yield server
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def until(is_so: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Return when it is; fails after `within_s`."""
    with trio.fail_after(within_s):
        while not is_so():  # noqa: ASYNC110 - what is waited for tells no event
            await trio.sleep(0.01)
