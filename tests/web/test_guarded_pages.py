"""A page's device where the server speaks TLS, or awaits PROXY headers of its address."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import trio
from repositories import shelf_of

from audio_server.app import open_server
from audio_server.settings import Settings
from audio_server.simulator.device import VirtualDevice
from audio_server.web.context import Context

SHIPPED = Path(__file__).parents[2] / "clips"


async def test_a_pages_device_connects_over_tls(tmp_path: Path) -> None:
    """It trusts the server's own certificate."""
    papers = tmp_path / "papers"
    command = [sys.executable, "-m", "audio_server", "dev-certs", str(papers)]
    await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL)
    await connect(tmp_path, tls_cert=papers / "server.pem", tls_key=papers / "server.key")


async def test_a_pages_device_comes_from_an_address_of_a_proxy(tmp_path: Path) -> None:
    proxies = (ip_network("127.0.0.1"),)
    await connect(tmp_path, trusted_proxies=proxies, proxy_protocol="required")


async def connect(folder: Path, **settings_of_test: Any) -> None:
    """Switch a page's device on and off at a server with these settings."""
    settings = Settings(
        port=0, http="off", data=None, clips=SHIPPED, cache=folder, **settings_of_test
    )
    async with open_server(settings) as server, trio.open_nursery() as nursery:
        context = Context(settings, server.port, shelf_of(), None, trio.Event(), str)
        device = VirtualDevice("page", context.open_channel)
        nursery.start_soon(device.run)
        device.switch_on()
        with trio.fail_after(60):
            while "page" not in server.devices.by_id:  # noqa: ASYNC110 - it tells no event
                await trio.sleep(0.02)
        device.switch_off()
        await device.wait_off()
        nursery.cancel_scope.cancel()
