"""Servers of a cluster as their users run them, and devices on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError
from members import PATIENCE_S, until

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


class DeviceOn:
    """A device on a node, as long as its connection lasts."""

    def __init__(self, status: Any, events: Any, audio: Any) -> None:
        self._status, self._events, self._audio = status, events, audio
        self.packets: list[Any] = []
        self.ended = trio.Event()
        self.ended_at = 0.0
        self.status: Status | None = None

    async def press(self, *presses: DeviceEvent) -> None:
        """Press, each when the one before is acknowledged."""
        for press in presses:
            await self._events.send_message(press)
            answer = await self._events.recv_message()
            assert answer is not None
            assert answer.ack

    async def mode(self) -> int:
        """The mode that the LEDs show, of 0 to 4; ends the start-up sequence."""
        await self._status.recv_message()
        await self.press(CONNECT)
        await self._status.send_message(DeviceStatusResponse(status="success"))
        leds = (await self._status.recv_message()).set
        lit = [bool(getattr(leds, f"led_{number}").rgba) for number in (2, 3, 4, 5)]
        return lit.index(True) + 1 if any(lit) else 0

    async def hear(self) -> None:
        """Take sound until the server ends the call."""
        try:
            while (packet := await self._audio.recv_message()) is not None:
                self.packets.append(packet)
        except GRPCError as error:
            self.status = error.status
        except StreamTerminatedError:
            pass
        finally:
            self.ended_at = time.monotonic()
            self.ended.set()

    async def wait_sound(self) -> None:
        await until(lambda: bool(self.packets))

    async def wait_ended(self) -> None:
        """Return when the server has ended the calls."""
        with trio.fail_after(PATIENCE_S):
            await self.ended.wait()


class NodeProcess:
    """A server that runs."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.port = 0

    def find(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == event]

    async def wait(self, event: str) -> dict[str, Any]:
        """The first line that says so."""
        await until(lambda: bool(self.find(event)))
        return self.find(event)[0]

    async def read_log(self) -> None:
        rest = b""
        assert self.process.stderr is not None
        async for data in self.process.stderr:
            *lines, rest = (rest + bytes(data)).split(b"\n")
            self.lines += [json.loads(line) for line in lines if line.startswith(b"{")]

    @asynccontextmanager
    async def device(self, device_id: str, token: str | None = None) -> AsyncIterator[DeviceOn]:
        """A device that is on for the block, or until it is ended by the server."""
        metadata = {"device_id": device_id}
        if token is not None:
            metadata["authorization"] = f"Bearer {token}"
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        async with channel_over(stream) as channel:
            untyped: Any = channel
            stub = DeviceServiceStub(untyped)
            async with (
                trio.open_nursery() as nursery,
                stub.StatusStream.open(metadata=metadata) as status,
                stub.EventStream.open(metadata=metadata) as events,
                stub.ServerAudioStream.open(metadata=metadata) as audio,
            ):
                await audio.send_message(AudioStreamRequest(start=True), end=True)
                device = DeviceOn(status, events, audio)
                nursery.start_soon(device.hear)
                yield device
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_node(folder: Path, *flags: str) -> AsyncIterator[NodeProcess]:
    """A server for the block; killed at its end."""
    command = [sys.executable, "-m", "audio_server", "--port", "0", "--data", "off"]
    command += ["--log-format", "json", "--cache", str(folder / "cache"), *flags]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AUDIO_")}
    process = await trio.lowlevel.open_process(
        command, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    node = NodeProcess(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.read_log)
            node.port = (await node.wait("listening"))["port"]
            yield node
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
