"""Groups with settings of their own, where several processes serve devices."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import trio
from worker_server import MODE, PLAY, STOP, WorkerServer, open_server

from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

FLEET, LOBBY, CHANGED = 3, 5, 7


def fill(folder: Path, *packets: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number, count in enumerate(packets):
        (folder / f"{number}.opus").write_bytes(opus_bytes([SILENCE] * count))
    return folder


async def take(panel: Any, *presses: Any) -> int:
    """Press; how many packets the take has that follows."""
    await panel.press(*presses)
    count = 1
    while not (await panel.audio.recv_message()).is_end:
        count += 1
    return count


async def ask(url: str, method: str, path: str, body: object) -> Any:
    def send() -> Any:
        headers = {"content-type": "application/json"}
        data = json.dumps(body).encode()
        with urlopen(Request(url + path, data, headers, method=method), timeout=30) as answer:
            return json.load(answer)

    return await trio.to_thread.run_sync(send)


async def met(stack: AsyncExitStack, server: WorkerServer, worker: int, device_id: str) -> Any:
    while True:
        panel = await stack.enter_async_context(server.device(device_id))
        if panel.worker == worker:
            return panel


async def test_groups_reach_all_workers(tmp_path: Path) -> None:
    fleet, lobby = fill(tmp_path / "fleet", FLEET), fill(tmp_path / "lobby", LOBBY)
    config = tmp_path / "settings.toml"
    config.write_text(f'[groups.lobby]\nclips = "{lobby}"\n')
    flags = ("--workers", "2", "--clips", str(fleet), "--config", str(config))
    async with (
        open_server(*flags, folder=tmp_path, http="127.0.0.1:0") as server,
        AsyncExitStack() as stack,
    ):
        url = (await server.log.wait("pages"))["url"].rstrip("/")
        panels = [await met(stack, server, worker, f"at-{worker}") for worker in (1, 2)]
        assert [await take(panel, PLAY) for panel in panels] == [FLEET, FLEET]

        # A tag, by the API: in force with the answer.
        devices = ["at-1", "at-2"]
        answer = await ask(url, "POST", "/api/tags", {"devices": devices, "add": ["lobby"]})
        assert answer["done"] == 2
        assert [await take(panel, PLAY) for panel in panels] == [LOBBY, LOBBY]
        row = await ask(url, "POST", "/api/play", {"devices": devices, "clip": "0"})
        assert row["done"] == 2
        assert [await take(panel) for panel in panels] == [LOBBY, LOBBY]

        # Other settings, by the file and a hangup.
        fill(lobby, CHANGED)
        config.write_text(f'[groups.lobby]\nclips = "{lobby}"\nstop_goes = "keep"\n')
        server.process.send_signal(signal.SIGHUP)
        await server.log.wait("groups reloaded")
        presses = (MODE, STOP, MODE, MODE, MODE, MODE, PLAY)  # mode 0 again, where Stop keeps it
        assert [await take(panel, *presses) for panel in panels] == [CHANGED, CHANGED]

        # Mistakes change nothing.
        config.write_text("[groups.lobby]\nlead_ms = 1\n")
        server.process.send_signal(signal.SIGHUP)
        refused = await server.log.wait("groups not reloaded")
        assert refused["error"].startswith(f"{config}: groups.lobby.lead_ms must be")
        assert await take(panels[0], PLAY) == CHANGED

        # A group of the API, for a worker that is new.
        answer = await ask(url, "PUT", "/api/groups/hall", {"led_brightness": 50})
        assert answer["source"] == "api"
        await ask(url, "POST", "/api/tags", {"devices": ["at-1"], "add": ["hall"]})
        server.process.send_signal(signal.SIGTERM)
        await server.process.wait()
    assert json.loads((tmp_path / "data" / "groups.json").read_text()) == {
        "hall": {"led_brightness": 50}
    }
