"""Two nodes of a cluster behind HAProxy, as docs/deploying.md has it: one of them is drained."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import trio
from debian_proxies import haproxy, tool
from free_ports import free_port
from grpclib.exceptions import GRPCError
from house import HOME, LONG, MadeClips, frame
from server_process import ServerProcess

from audio_server.rpc.client import open_channel
from audio_server.wire.comms_grpc import DeviceServiceStub
from audio_server.wire.comms_pb2 import (
    AudioStreamRequest,
    ButtonEvent,
    DeviceEvent,
    DeviceStatusResponse,
)

DEVICES, DRAIN_S = 24, 6.0
SUCCESS = DeviceStatusResponse(status="success")


@contextmanager
def engine(folder: Path) -> Iterator[str]:
    """A Redis of the test's own; its URL."""
    port = free_port()
    command = [tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with (folder / "engine").open("wb") as output:
        process = subprocess.Popen([*command, "--dir", str(folder)], stdout=output, stderr=output)
    try:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
                break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


class Device:
    """A device that comes back by itself, soon after its calls have ended."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self.came_s: list[float] = []
        self.shown: tuple[int, ...] = ()
        self.packets: list[Any] = []
        self._events: Any = None

    async def live(self) -> None:
        while True:
            with suppress(GRPCError, OSError):
                async with open_channel("127.0.0.1", self.port) as channel:
                    await self._attend(channel)
            await trio.sleep(0.05)

    async def _attend(self, channel: Any) -> None:
        stub: Any = DeviceServiceStub(channel)
        opened = {"metadata": {"device_id": self.name}}
        try:
            async with (
                stub.StatusStream.open(**opened) as status,
                stub.EventStream.open(**opened) as self._events,
                stub.ServerAudioStream.open(**opened) as audio,
                trio.open_nursery() as nursery,
            ):
                await audio.send_message(AudioStreamRequest(start=True), end=True)
                nursery.start_soon(self._listen, audio)
                await self._show(status)
                nursery.cancel_scope.cancel()
        except* GRPCError:
            pass

    async def _show(self, status: Any) -> None:
        is_first = True
        async for request in status:
            if is_first:
                self.came_s.append(trio.current_time())
                is_first = False
            if request.HasField("set"):
                leds = request.set
                self.shown = tuple(getattr(leds, f"led_{n}").rgba for n in range(6))
            await status.send_message(SUCCESS)

    async def _listen(self, audio: Any) -> None:
        async for packet in audio:
            self.packets.append(packet)

    async def press(self, button: ButtonEvent.ButtonId, times: int = 1) -> None:
        event = ButtonEvent(button_id=button, event=ButtonEvent.PRESS)
        for _ in range(times):
            await self._events.send_message(DeviceEvent(button_event=event))
            assert (await self._events.recv_message()).ack


async def until(condition: Any) -> None:
    with trio.fail_after(60):
        while not condition():  # noqa: ASYNC110 - devices tell no event
            await trio.sleep(0.02)


def connected(server: ServerProcess) -> list[str]:
    return [line["device"] for line in server.log if line["event"] == "device connected"]


async def test_devices_of_a_node_go_to_the_other_one_by_one(
    clips: MadeClips, tmp_path: Path
) -> None:
    """Each in its mode; the one that plays has heard its take to the end."""
    with engine(tmp_path) as url:
        flags = ("--cluster", url, "--drain-s", str(DRAIN_S), "--http", "off")
        proxied = ("--trusted-proxies", "127.0.0.1", "--proxy-protocol", "required")
        make = partial(ServerProcess, clips.folder, clips.cache, *flags, *proxied)
        nodes = [make(), make()]
        ports = [node.port for node in nodes]
        with haproxy(tmp_path, *ports, mode="proxy protocol") as port:
            async with trio.open_nursery() as nursery:
                devices = {f"device-{n}": Device(f"device-{n}", port) for n in range(DEVICES)}
                for device in devices.values():
                    nursery.start_soon(device.live)
                await until(lambda: all(device.came_s for device in devices.values()))
                for device in devices.values():
                    await device.press(ButtonEvent.BUTTON_2, LONG)
                going = {*connected(nodes[0])}
                plays = devices[min(going)]
                await plays.press(ButtonEvent.BUTTON_3)
                await plays.press(ButtonEvent.BUTTON_4)
                start = trio.current_time()
                nodes[0].signal(signal.SIGTERM)
                await until(lambda: all(len(devices[name].came_s) > 1 for name in going))
                assert await trio.to_thread.run_sync(nodes[0].wait) == 0
                await until(lambda: plays.shown == frame(HOME))
                others = [devices[name] for name in going - {plays.name}]
                await until(lambda: all(device.shown == frame(LONG) for device in others))
                nursery.cancel_scope.cancel()
        assert nodes[1].stop() == 0
    assert len(going) >= DEVICES / 3
    came_s = sorted(devices[name].came_s[1] - start for name in going)
    each_s = [sum(at <= came < at + 2 for came in came_s) for at in range(int(DRAIN_S))]
    assert max(each_s) <= len(going) / 2 + 2, came_s  # of the even pace twice, on a slow machine
    assert came_s[-1] - came_s[0] > DRAIN_S / 2
    stayed = [device for name, device in devices.items() if name not in going]
    assert all(len(device.came_s) == 1 for device in stayed)
    assert [bytes(packet.data) for packet in plays.packets] == list(clips.home)
    for node in nodes:
        assert node.errors() == []
