"""Servers of a cluster as operators reach them."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import trio
from engine import EngineProcess
from members import PATIENCE_S
from node_process import NodeProcess, open_node


class Page(NamedTuple):
    """The API of a node."""

    node: NodeProcess
    url: str

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        command = ["curl", "-sS", "-X", method, "-w", "\n%{http_code}", f"{self.url}{path}"]
        if body is not None:
            command += ["-H", "content-type: application/json", "-d", json.dumps(body)]
        done = await trio.run_process(command, capture_stdout=True)
        text, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(text)

    async def send(self, method: str, path: str, file: Path) -> tuple[int, Any]:
        """Send a file; return the status and the JSON of the answer."""
        command = ["curl", "-sS", "-X", method, "-T", str(file), "-w", "\n%{http_code}"]
        done = await trio.run_process([*command, f"{self.url}{path}"], capture_stdout=True)
        text, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(text)

    async def until(self, path: str, **facts: Any) -> None:
        """Return when the answer has these facts."""
        with trio.fail_after(PATIENCE_S):
            while not facts.items() <= (await self.ask("GET", path))[1].items():  # noqa: ASYNC110
                await trio.sleep(0.02)

    async def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return its status and its complaint."""
        command = [sys.executable, "-m", "audio_server", *words, "--url", self.url]
        done = await trio.run_process(
            command, check=False, capture_stderr=True, capture_stdout=True
        )
        return done.returncode, done.stderr.decode()


@asynccontextmanager
async def open_page(engine: EngineProcess, folder: Path, *flags: str) -> AsyncIterator[Page]:
    flags = ("--http", "127.0.0.1:0", "--cluster", engine.url, *flags)
    async with open_node(folder, *flags) as node:
        await node.wait("cluster is up")
        yield Page(node, (await node.wait("pages"))["url"].rstrip("/"))
