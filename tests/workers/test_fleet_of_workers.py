"""The pages of a server with workers: devices of all processes, also when one hangs or dies."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from test_worker_server import met
from worker_server import Panel, WorkerServer, open_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

WITHIN_S = 60


class Watcher:
    """A page that watches: the worker of each device that it shows."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.shown: dict[str, int] = {}
        self._stream = stream
        self._rest = b""

    async def wait(self, **shown: int) -> None:
        """Return when exactly these are shown."""
        with trio.fail_after(WITHIN_S):
            while self.shown != shown:
                self._take(await self._line())

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data: "):
            told = json.loads(line.removeprefix(b"data: "))
            self.shown.update({row["id"]: row["worker"] for row in told["rows"]})
            for device_id in told["gone"]:
                del self.shown[device_id]

    async def _line(self) -> bytes:
        while b"\n" not in self._rest:
            part = await self._stream.receive_some()
            assert part, "the stream has ended"
            self._rest += part
        line, self._rest = self._rest.split(b"\n", 1)
        return line


@asynccontextmanager
async def asked(server: WorkerServer, head: str, body: str = "") -> AsyncIterator[Any]:
    """A request, and the stream on which its answer comes."""
    url = (await server.log.wait("pages"))["url"].removeprefix("http://")
    host, port = url.split(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        headers = f"host: {url}\r\norigin: http://{url}\r\n{kind}"
        await stream.send_all(f"{head} HTTP/1.1\r\n{headers}\r\n{body}".encode())
        yield stream


async def pressed(server: WorkerServer, device_id: str, panel: Panel) -> int:
    """Press Mode for a device; the mode that it shows then."""
    path = f"POST /api/devices/{device_id}/press"
    async with asked(server, path, '{"button": "mode"}') as stream:
        answer = await stream.receive_some()
        assert answer.split()[1] == b"200", answer
    return await panel.mode()


async def test_one_page_for_all_workers(tmp_path: Path) -> None:
    flags = ("--workers", "2")
    async with (
        open_server(*flags, folder=tmp_path, http="127.0.0.1:0") as server,
        asked(server, "GET /api/devices/changes") as stream,
        AsyncExitStack() as stack,
    ):
        page = Watcher(stream)
        for number, device_id in enumerate(("one", "two"), 1):
            panel = await met(stack, server, device_id, number)
            assert await pressed(server, device_id, panel) == 1
        await page.wait(one=1, two=2)
        os.kill(server.pids[2], signal.SIGSTOP)
        await page.wait(one=1)
        os.kill(server.pids[2], signal.SIGCONT)
        await page.wait(one=1, two=2)
        os.kill(server.pids[1], signal.SIGKILL)
        await page.wait(two=2)
        await server.log.wait("worker ready", 3)
        await met(stack, server, "three", 1)
        await page.wait(two=2, three=1)
    assert [line["event"] for line in server.log.lines if line["level"] == "warning"] == [
        "worker does not answer",
        "worker ended",
    ]
