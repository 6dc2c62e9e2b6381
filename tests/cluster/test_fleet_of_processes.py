"""Two servers and one engine, all of them processes: the page and the API of either have all."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trio
from engine import EngineProcess
from members import PATIENCE_S, until
from node_process import NodeProcess, open_node

from audio_server.client.api import Api, open_api
from audio_server.client.server import Server
from audio_server.fleet.of_nodes import ACT_S

DEVICE = "from audio_server.simulator.cli import main; main()"


class Served(NamedTuple):
    """A node, and the API of its pages."""

    node: NodeProcess
    api: Api
    name: str

    async def shows(self, *expected: tuple[str, str], missing: list[str] | None = None) -> None:
        """Return when it lists these devices, each at that node, and no others."""
        with trio.fail_after(PATIENCE_S):
            while True:
                told = await self.api.devices()
                rows = {(row["id"], row["node"]) for row in told["rows"]}
                if rows == set(expected) and told.get("missing") == missing:
                    return
                await trio.sleep(0.05)


@asynccontextmanager
async def open_served(engine: EngineProcess, folder: Path, *more: str) -> AsyncIterator[Served]:
    flags = ("--http", "127.0.0.1:0", "--cluster", engine.url, *more)
    async with open_node(folder, *flags) as node:
        url = (await node.wait("pages"))["url"].rstrip("/")
        await node.wait("cluster is up")
        await node.wait("other nodes can be reached")
        async with open_api(Server(url)) as api:
            host = (await trio.to_thread.run_sync(subprocess.check_output, ["hostname"])).decode()
            yield Served(node, api, f"{host.strip()}:{node.port}")


@asynccontextmanager
async def open_two(
    engine: EngineProcess, folder: Path, *more: str
) -> AsyncIterator[tuple[Served, Served]]:
    """Two nodes; `more` are flags of the second one."""
    async with open_served(engine, folder) as a, open_served(engine, folder, *more) as b:
        with trio.fail_after(PATIENCE_S):
            for one in (a, b):
                async with one.api.changes() as changes:
                    async for _, told in changes:
                        if told.get("counts", {}).get("nodes") == 2:
                            break
        yield a, b


@asynccontextmanager
async def audio_device(port: int) -> AsyncIterator[None]:
    """`audio-device` in a process of its own."""
    script = ("--script", "connect wait:60")
    command = [sys.executable, "-c", DEVICE, "--id", "hall", *script]
    process = await trio.lowlevel.open_process(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def test_a_device_hands_over_while_the_page_of_either_shows_it(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with open_two(engine, tmp_path) as (a, b), trio.open_nursery() as nursery:
        seen: dict[str, list[str]] = {}

        async def watch(one: Served) -> None:
            nodes = seen.setdefault(one.name, [])
            async with one.api.changes() as changes:  # as the page follows it
                async for _, told in changes:
                    nodes.extend(row["node"] for row in told["rows"])

        for one in (a, b):
            nursery.start_soon(watch, one)
        await until(lambda: len(seen) == 2)
        async with audio_device(a.node.port):
            await until(lambda: all(nodes[-1:] == [a.name] for nodes in seen.values()))
            async with audio_device(b.node.port):
                await until(lambda: all(b.name in nodes for nodes in seen.values()))
        async with audio_device(b.node.port):
            await until(lambda: all(nodes[-1:] == [b.name] for nodes in seen.values()))
            for one in (a, b):
                await one.shows(("hall", b.name))
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["processes", "workers"])
async def test_what_is_asked_of_one_node_is_done_by_all(
    engine: EngineProcess, tmp_path: Path, more: tuple[str, ...]
) -> None:
    async with (
        open_two(engine, tmp_path, *more) as (a, b),
        a.node.device("x") as x,
        b.node.device("y") as y,
    ):
        for one in (a, b):
            await one.shows(("x", a.name), ("y", b.name))
        assert (await a.api.press("y", "mode"))["mode"] == 1
        assert (await b.api.device("y"))["mode"] == 1
        answer = await a.api.announce(None, chime=True, priority=0, clip="square")
        assert (answer["done"], answer["gone"], answer["failed"]) == (2, [], {})
        assert "missing" not in answer
        await x.wait_sound()
        await y.wait_sound()
        assert (await b.api.stop(["x", "y", "nobody"]))["done"] == 2
        told = (await a.api.announcement(answer["id"], 20.0))["devices"]
        assert {key: one["hearing"] for key, one in told.items()} == {"x": "cut", "y": "cut"}
        await a.api.rename("y", "Küche")
        assert (await b.api.device("y"))["name"] == "Küche"
        kinds = [one["kind"] for one in (await a.api.events("y"))["events"]]
        assert "press" in kinds or "action" in kinds


async def test_a_node_that_hangs_is_named_and_the_others_answer(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with (
        open_two(engine, tmp_path) as (a, b),
        a.node.device("x") as x,
        b.node.device("y"),
    ):
        await a.shows(("x", a.name), ("y", b.name))
        b.node.process.send_signal(signal.SIGSTOP)
        try:
            began = trio.current_time()
            answer = await a.api.announce(None, chime=True, priority=0, clip="square")
            took_s = trio.current_time() - began
            assert (answer["done"], answer["missing"]) == (1, [b.name])
            assert ACT_S - 1 < took_s < ACT_S + 2
            await x.wait_sound()
            await a.shows(("x", a.name), missing=[b.name])
        finally:
            b.node.process.send_signal(signal.SIGCONT)
        await a.shows(("x", a.name), ("y", b.name))
        await trio.sleep(0.5)
        assert not b.node.find("take started")  # what was reported as missing is not done later


async def test_without_the_engine_a_node_shows_and_plays_its_own(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with (
        open_two(engine, tmp_path) as (a, b),
        a.node.device("x") as x,
        b.node.device("y"),
    ):
        await a.shows(("x", a.name), ("y", b.name))
        engine.hang()
        try:
            await a.node.wait("other nodes cannot be reached")
            await a.shows(("x", a.name), missing=sorted([b.name, "cluster"]))
            answer: Any = await a.api.play(None, clip="square")
            assert (answer["done"], answer["missing"]) == (1, sorted([b.name, "cluster"]))
            await x.wait_sound()
        finally:
            engine.go_on()
        await a.shows(("x", a.name), ("y", b.name))
