"""Commands on the server itself, with a device that is connected to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from client_run import Run, Said
from free_ports import free_port
from structlog.testing import capture_logs

from audio_server.app import serve_until
from audio_server.client.history import follow
from audio_server.client.server import Server
from audio_server.clips.folder import default_clips
from audio_server.rpc.client import open_channel
from audio_server.settings import Settings
from audio_server.simulator.device import Link, VirtualDevice


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[tuple[str, int]]:
    """A server: where its pages are, and where devices connect."""
    http = f"127.0.0.1:{free_port()}"
    settings = Settings(
        port=0, http=http, clips=default_clips(), cache=tmp_path, data=None, grace_s=1
    )
    stop = trio.Event()
    with capture_logs():
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_until, stop, settings)
            yield f"http://{http}", port
            stop.set()


@asynccontextmanager
async def connected(device_id: str, port: int) -> AsyncIterator[None]:
    """A device that is on for the block."""
    device = VirtualDevice(device_id, partial(open_channel, "127.0.0.1", port))
    async with trio.open_nursery() as nursery:
        await nursery.start(device.run)
        device.switch_on()
        await device.link.wait_value(Link.ONLINE)
        yield
        nursery.cancel_scope.cancel()


async def test_a_device_is_seen_pressed_played_on_and_stopped(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def said(*argv: str) -> Said:
        return await trio.to_thread.run_sync(partial(run, *argv))

    async with served(tmp_path) as (url, port), connected("hall", port):
        monkeypatch.setenv("AUDIO_SERVER_URL", url)
        assert await said("press", "hall", "mode") == (0, "hall: mode 1 square, idle\n", "")
        assert await said("play", "triangle", "hall") == (0, "triangle plays on 1 device\n", "")
        (row,) = json.loads((await said("devices", "--json")).out)["rows"]
        assert (row["id"], row["mode"], row["playing"]["clip"]) == ("hall", 1, "3-triangle")
        assert "triangle 0:00/0:08" in (await said("devices", "show", "hall")).out
        assert await said("stop", "--all") == (0, "stopped 1 device\n", "")
        assert (await said("rename", "hall", "The Hall")).status == 0
        (line,) = (await said("devices")).out.splitlines()[1:]
        assert line.split()[:6] == ["hall", "idle", "1", "square", "The", "Hall"]
        told = [line.split("  ")[2] for line in (await said("logs", "hall")).out.splitlines()]
        assert [text for text in told if "LEDs" not in text][-5:] == [
            "an operator played triangle",
            "triangle starts",
            "an operator stopped it",
            told[-2],  # after how many seconds
            "renamed to The Hall",
        ]
        assert told[-2].startswith("triangle was cut after ")
        for argv in ("press nobody mode", "play nothing --all", "rename nobody x", "logs nobody"):
            status, out, err = await said(*argv.split())
            assert (status, out, err.count("\n")) == (1, "", 1)


async def test_what_happens_is_followed(tmp_path: Path) -> None:
    told: list[str] = []
    begun, ended = trio.Event(), trio.Event()

    def tell(event: dict[str, str]) -> None:
        told.append(event["kind"])
        begun.set()
        if told[-1] == "gone":
            ended.set()

    async with served(tmp_path) as (url, port), trio.open_nursery() as nursery:
        async with connected("hall", port):
            nursery.start_soon(follow, Server(url), "hall", tell)
            await begun.wait()
        with trio.fail_after(30):
            await ended.wait()
        nursery.cancel_scope.cancel()
    assert told[0] == "connected"
    assert len(told) == len(set(told) - {"leds"}) + told.count("leds")  # each once
