"""A page's device where the server speaks TLS: it trusts the server's own certificate."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import trio
from repositories import shelf_of

from audio_server.app import serve_until
from audio_server.settings import Settings
from audio_server.simulator.device import Link, VirtualDevice
from audio_server.web.context import Context

SHIPPED = Path(__file__).parents[2] / "clips"


async def test_a_pages_device_connects_over_tls(tmp_path: Path) -> None:
    papers = tmp_path / "papers"
    command = [sys.executable, "-m", "audio_server", "dev-certs", str(papers)]
    await trio.run_process(command, capture_stdout=True, stderr=subprocess.DEVNULL)
    settings = Settings(
        port=0,
        http="off",
        clips=SHIPPED,
        cache=tmp_path,
        tls_cert=papers / "server.pem",
        tls_key=papers / "server.key",
    )
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_until, stop, settings))
        context = Context(settings, port, shelf_of(), None, stop, str)
        device = VirtualDevice("page", context.open_channel)
        nursery.start_soon(device.run)
        device.switch_on()
        with trio.fail_after(60):
            await device.link.wait_value(Link.ONLINE)
        device.switch_off()
        await device.wait_off()
        stop.set()
        nursery.cancel_scope.cancel()
