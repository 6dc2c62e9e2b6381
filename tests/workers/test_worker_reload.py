"""SIGHUP to a server of several processes: the clips of all of them change, or those of none."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from worker_server import CONNECT, PLAY, Panel, WorkerServer, open_server

from audio_server.clips.ogg import opus_bytes
from audio_server.wire.audio import SILENCE

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


async def packets(panel: Panel) -> int:
    """Play; how long the take is."""
    await panel.press(PLAY)
    count = 1
    while not (await panel.audio.recv_message()).is_end:
        count += 1
    return count


async def met(stack: AsyncExitStack, server: WorkerServer, worker: int, device_id: str) -> Panel:
    while True:
        panel = await stack.enter_async_context(server.device(device_id))
        if panel.worker == worker:
            return panel


async def test_a_hangup_changes_the_clips_of_all_workers(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = folder / "0.opus"
    clip.write_bytes(opus_bytes([SILENCE] * 3))
    flags = ("--workers", "2", "--clips", str(folder))
    async with open_server(*flags, folder=tmp_path) as server, AsyncExitStack() as stack:
        panels = [await met(stack, server, worker, f"at-{worker}") for worker in (1, 2)]
        assert [await packets(panel) for panel in panels] == [3, 3]

        clip.write_bytes(opus_bytes([SILENCE] * 5))
        server.process.send_signal(signal.SIGHUP)
        assert (await server.log.wait("clips reloaded"))["clips"] == 1
        assert [await packets(panel) for panel in panels] == [5, 5]

        (folder / "1.opus").write_bytes(b"no sound")
        clip.write_bytes(opus_bytes([SILENCE] * 7))
        server.process.send_signal(signal.SIGHUP)
        refused = await server.log.wait("clips not reloaded")
        assert refused["reason"].startswith(f"{folder}/1.opus: cannot be read as sound")
        assert [await packets(panel) for panel in panels] == [5, 5]

        os.kill(server.pids[1], signal.SIGKILL)
        await server.log.wait("worker ready", 3)
        again = await met(stack, server, 1, "again")
        await again.press(CONNECT)
        assert await packets(again) == 5
