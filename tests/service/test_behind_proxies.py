"""Many devices behind one nginx, HAProxy or Envoy: none is lost for what another client does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import trio
from grpclib.const import Status
from panel import Panel
from proxies import proxied
from service_home import CALLS, FIVE, frame

from audio_server.assembly import make_devices
from audio_server.device.behaviour import Button
from audio_server.rpc.client import open_channel
from audio_server.rpc.server import Server
from audio_server.service.device_service import DeviceService
from audio_server.service.serving import serve_on
from audio_server.settings import Settings
from audio_server.wire.comms_grpc import DeviceServiceStub

DEVICES = 60
RESETS, RESETS_PER_S = 250, 125
"""More than an untrusted connection may ever reset in this time."""


@asynccontextmanager
async def open_server() -> AsyncIterator[int]:
    """A server that trusts proxies on loopback; its port."""
    devices = make_devices(Settings(), FIVE)
    trusted = [ip_network("127.0.0.1")]
    server = Server(DeviceService(devices).__mapping__(), trusted_proxies=trusted)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_on, listeners, server, devices, trio.Event(), 1.0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


class Crowd:
    """Devices, each with a channel of its own to the port."""

    def __init__(self, port: int, nursery: trio.Nursery) -> None:
        self._port = port
        self._nursery = nursery
        self.panels: list[Panel] = []

    async def arrive(self, count: int) -> None:
        """All come at once."""
        async with trio.open_nursery() as arriving:
            for number in range(count):
                arriving.start_soon(self._nursery.start, self._attend, f"device-{number}")

    async def _attend(self, device_id: str, *, task_status: trio.TaskStatus[None]) -> None:
        panel = Panel()
        panel.reads.set()
        async with open_channel("127.0.0.1", self._port) as channel, trio.open_nursery() as calls:
            untyped: Any = channel
            for name in CALLS:
                await panel.attend(name, DeviceServiceStub(untyped), device_id, calls)
            self.panels.append(panel)
            task_status.started()
            await trio.sleep_forever()

    async def press(self) -> None:
        """All press Mode at the same time, and each is acknowledged."""
        async with trio.open_nursery() as pressing:
            for panel in self.panels:
                pressing.start_soon(panel.press, Button.MODE)

    async def show(self, *, mode: int) -> None:
        """Return when all show this mode."""
        for panel in self.panels:
            while panel.shown != frame(mode):  # noqa: ASYNC110 - a panel tells nobody
                await trio.sleep(0.05)

    async def open_and_cancel(self) -> None:
        """Open a call and cancel it, again and again, as one client."""
        async with open_channel("127.0.0.1", self._port) as channel:
            untyped: Any = channel
            stub: Any = DeviceServiceStub(untyped)
            for number in range(RESETS):
                async with stub.EventStream.open(metadata={"device_id": f"hostile-{number % 50}"}):
                    await trio.sleep(1 / RESETS_PER_S)

    @property
    def ended(self) -> list[dict[str, Status]]:
        """How calls ended, of those devices that lost one."""
        return [panel.ended for panel in self.panels if panel.ended]


@asynccontextmanager
async def open_crowd(kind: str, folder: Path) -> AsyncIterator[Crowd]:
    async with (
        open_server() as server_port,
        proxied(kind, server_port, folder) as port,
        trio.open_nursery() as nursery,
    ):
        yield Crowd(port, nursery)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["nginx", "haproxy", "envoy"])
async def test_one_client_that_resets_harms_none_of_sixty_devices(
    kind: str, tmp_path: Path
) -> None:
    with trio.fail_after(60):
        async with open_crowd(kind, tmp_path) as crowd:
            await crowd.arrive(DEVICES)
            await trio.sleep(0.5)
            assert crowd.ended == []
            await crowd.press()
            await crowd.open_and_cancel()
            await crowd.press()
            await crowd.show(mode=2)
            assert crowd.ended == []
