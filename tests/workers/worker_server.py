"""`audio-server --workers N` as its users run it, and devices that know which worker they met."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from worker_log import Log

from audio_server.rpc.client import channel_over
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import (
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceStatusResponse,
)

CONNECT, MODE, STOP, PLAY = (
    DeviceEvent(button_event=ButtonEvent(button_id=button))  # type: ignore[arg-type]
    for button in range(4)
)


class Panel:
    """A device on one connection; `worker` is the number of the worker that has it."""

    def __init__(self, worker: int, status: Any, events: Any, audio: Any) -> None:
        self.worker = worker
        self.status, self.events, self.audio = status, events, audio

    async def press(self, *events: DeviceEvent) -> None:
        """Press, each when the one before is acknowledged."""
        for event in events:
            await self.events.send_message(event)
            assert (await self.events.recv_message()).ack

    async def mode(self) -> int:
        """The mode that the LEDs show, of 0 to 4; ends the start-up sequence."""
        await self.status.recv_message()
        await self.press(CONNECT)
        await self.status.send_message(DeviceStatusResponse(status="success"))
        leds = (await self.status.recv_message()).set
        lit = [bool(getattr(leds, f"led_{number}").rgba) for number in (2, 3, 4, 5)]
        return lit.index(True) + 1 if any(lit) else 0


class WorkerServer:
    """A server that runs, its log, and the processes of its workers by their numbers."""

    def __init__(self, process: trio.Process, log: Log) -> None:
        self.process = process
        self.log = log
        self.port = 0

    @property
    def pids(self) -> dict[int, int]:
        """The newest process of each worker."""
        return {line["worker"]: line["pid"] for line in self.log.find("worker started")}

    @asynccontextmanager
    async def device(self, device_id: str = "one", port: int | None = None) -> AsyncIterator[Panel]:
        """A device that is on for as long as the block."""
        metadata = {"device_id": device_id}
        stream = await trio.open_tcp_stream("127.0.0.1", port or self.port)
        async with channel_over(stream) as channel:
            untyped: Any = channel
            stub = DeviceServiceStub(untyped)
            async with (
                stub.StatusStream.open(metadata=metadata) as status,
                stub.EventStream.open(metadata=metadata) as events,
                stub.ServerAudioStream.open(metadata=metadata) as audio,
            ):
                await audio.send_message(AudioStreamRequest(start=True), end=True)
                await events.send_message(CONNECT)
                await events.recv_message()
                yield Panel(self._worker_of(stream), status, events, audio)

    def _worker_of(self, stream: trio.SocketStream) -> int:
        """Whose socket the other end of a connection is, as the system knows it."""
        here, there = stream.socket.getsockname(), stream.socket.getpeername()
        wanted = (_hex(there[1]), _hex(here[1]))
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if (fields[1].split(":")[1], fields[2].split(":")[1]) == wanted:
                return next(n for n, pid in self.pids.items() if _has_socket(pid, fields[9]))
        raise AssertionError("no such connection")


def _hex(port: int) -> str:
    return f"{port:04X}"


def _has_socket(pid: int, inode: str) -> bool:
    try:
        attachments = list(Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:  # that worker has ended
        return False
    return any(_target(link).endswith(f"socket:[{inode}]") for link in attachments)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:  # closed meanwhile
        return ""


@asynccontextmanager
async def open_server(*flags: str, folder: Path, http: str = "off") -> AsyncIterator[WorkerServer]:
    """A server in a session of its own, as in a terminal; killed at the end if it still runs."""
    command = [sys.executable, "-m", "audio_server", "--port", "0", "--http", http]
    command += ["--log-format", "json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AUDIO_")}
    process = await trio.lowlevel.open_process(
        [*command, "--cache", str(folder / "cache"), "--data", str(folder / "data"), *flags],
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    server = WorkerServer(process, Log())
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(_read_log, process.stderr, server.log))
            server.port = (await server.log.wait("listening"))["port"]
            yield server
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def _read_log(stream: trio.abc.ReceiveStream, log: Log) -> None:
    rest = b""
    async for data in stream:
        *lines, rest = (rest + bytes(data)).split(b"\n")
        for line in lines:
            log.add(_parsed(line))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"event": line.decode(), "level": "error"}
    return entry
