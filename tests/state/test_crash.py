"""kill -9 in the middle of a thousand presses: what was acknowledged is there after a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from grpclib.exceptions import GRPCError

from audio_server.device.behaviour import State
from audio_server.device.leds import leds
from audio_server.rpc.client import open_channel
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import ButtonEvent, DeviceEvent
from audio_server.wire.leds import frame_leds

DEVICES, PRESSES, KILLED_AT = 25, 40, 500
CLIPS = 5

CONNECT = DeviceEvent(button_event=ButtonEvent(button_id=ButtonEvent.BUTTON_1))
MODE = DeviceEvent(button_event=ButtonEvent(button_id=ButtonEvent.BUTTON_2))

FRAME_HEADER_BYTES = 5


class Server:
    """A server as its users run it, on a data folder."""

    def __init__(self, folder: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "audio_server", "--port", "0", "--http", "off"]
        command += ["--log-format", "json"]
        folders = ["--data", str(folder / "data"), "--cache", str(folder / "cache")]
        self.process = subprocess.Popen(
            [*command, *folders, *flags],
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if "AUDIO_" not in name},
        )
        self.log: list[dict[str, Any]] = []

    async def listen(self) -> int:
        """The port, once it is open."""
        return await trio.to_thread.run_sync(self._read_port)

    def _read_port(self) -> int:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(json.loads(line))
            if self.log[-1]["event"] == "listening":
                return int(self.log[-1]["port"])
        raise AssertionError(self.log)

    def end(self, number: int = signal.SIGKILL) -> int:
        """Send a signal; its exit status."""
        self.process.send_signal(number)
        status = self.process.wait()
        assert self.process.stderr is not None
        if not self.process.stderr.closed:
            with self.process.stderr as lines:  # to the end: its workers have gone too then
                self.log += [json.loads(line) for line in lines if line.endswith("}\n")]
        return status

    @property
    def warnings(self) -> list[dict[str, Any]]:
        """What it had to say besides that all is well; whole once it has ended."""
        return [line for line in self.log if line["level"] != "info"]


@asynccontextmanager
async def server(folder: Path, *flags: str) -> AsyncIterator[tuple[Server, int]]:
    running = Server(folder, *flags)
    try:
        yield running, await running.listen()
    finally:
        running.end()


class Presser:
    """A device that presses Mode for as long as it is answered."""

    def __init__(self, number: int) -> None:
        self.metadata = {"device_id": f"device-{number}"}
        self.acked = 0

    async def press_all(self, port: int, everybody: Tally) -> None:
        try:
            async with open_channel("127.0.0.1", port) as channel:
                stub = DeviceServiceStub(channel)  # type: ignore[arg-type]
                async with stub.EventStream.open(metadata=self.metadata) as call:
                    for _ in range(PRESSES):
                        await call.send_message(MODE)
                        assert (await call.recv_message()).ack
                        self.acked += 1
                        everybody.count()
        except* (GRPCError, OSError):
            pass

    async def mode(self, port: int) -> int:
        """What its LEDs show; a press comes first, so that there is no start-up sequence."""
        async with open_channel("127.0.0.1", port) as channel:
            stub = DeviceServiceStub(channel)  # type: ignore[arg-type]
            async with stub.EventStream.open(metadata=self.metadata) as events:
                await events.send_message(CONNECT)
                await events.recv_message()
                async with stub.StatusStream.open(metadata=self.metadata) as status:
                    frame = (await status.recv_message()).SerializeToString()
                    return SHOWN[frame]


SHOWN = {frame_leds(leds(State(mode)))[FRAME_HEADER_BYTES:]: mode for mode in range(CLIPS)}


class Tally:
    """Kills the server when so many presses have been acknowledged."""

    def __init__(self, victim: subprocess.Popen[str]) -> None:
        self._victim = victim
        self._acked = 0

    def count(self) -> None:
        self._acked += 1
        if self._acked == KILLED_AT:
            self._victim.kill()


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_what_was_acknowledged_is_there_after_kill_9(flags, tmp_path) -> None:
    pressers = [Presser(number) for number in range(DEVICES)]
    with trio.fail_after(60):
        async with server(tmp_path, *flags) as (first, port), trio.open_nursery() as nursery:
            tally = Tally(first.process)
            for presser in pressers:
                nursery.start_soon(presser.press_all, port, tally)
        assert {line["event"] for line in first.warnings} <= {"the supervisor is gone"}
        acked = sum(presser.acked for presser in pressers)
        assert KILLED_AT <= acked < DEVICES * PRESSES
        async with server(tmp_path, *flags) as (second, port):
            for presser in pressers:
                kept = await presser.mode(port)
                # The press that was not answered may have come to count.
                assert (kept - presser.acked) % CLIPS in (0, 1), (kept, presser.acked)
            assert second.end(signal.SIGTERM) == 0
        assert second.warnings == []
