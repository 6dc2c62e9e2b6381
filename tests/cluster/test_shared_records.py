"""Two servers that share an engine: names and tags as operators give and see them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from engine import EngineProcess
from members import PATIENCE_S
from node_process import MODE
from pages import Page, open_page

DOWN = "the cluster is down: nothing has changed; try again"


@asynccontextmanager
async def events_of(page: Page) -> AsyncIterator[trio.MemoryReceiveChannel[Any]]:
    """The changes that a page hears of, each as its JSON."""
    send, receive = trio.open_memory_channel[Any](1000)

    async def read(process: trio.Process) -> None:
        rest = b""
        assert process.stdout is not None
        async for data in process.stdout:
            *lines, rest = (rest + bytes(data)).split(b"\n")
            for line in lines:
                if line.startswith(b"data: "):
                    await send.send(json.loads(line[6:]))

    command = ["curl", "-sSN", f"{page.url}/api/devices/changes"]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with process.stdout, trio.open_nursery() as nursery:
            nursery.start_soon(read, process)
            await receive.receive()  # all rows
            yield receive
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def test_names_and_tags_are_on_all_pages_and_go_on_without_the_engine(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with (
        open_page(engine, tmp_path) as a,
        open_page(engine, tmp_path) as b,
        b.node.device("x") as device,
    ):
        await device.press(MODE)
        async with events_of(b) as events:
            began = trio.current_time()
            assert (await a.ask("PATCH", "/api/devices/x", {"name": "Küche"}))[0] == 200
            with trio.fail_after(PATIENCE_S):
                async for told in events:
                    if any(row["name"] == "Küche" for row in told["rows"]):
                        break
            assert trio.current_time() - began < 1
        # Of a device at another node, by the command too.
        assert await a.run("tag", "kitchen", "x") == (0, "")
        await b.until("/api/devices/x", name="Küche", tags=["kitchen"])
        assert (await b.ask("GET", "/api/devices/x/events"))[1]["events"][-1]["text"] == (
            "renamed to Küche"
        )
        status, told = await a.ask("DELETE", "/api/devices/x")
        assert (status, told["error"].partition(";")[0]) == (409, "it is connected")
        assert (await a.ask("PATCH", "/api/devices/nobody", {"name": "x"}))[0] == 404
        engine.hang()
        try:
            for page in (a, b):
                await page.node.wait("cluster is down")
            began = trio.current_time()
            assert await b.ask("PATCH", "/api/devices/x", {"name": "y"}) == (503, {"error": DOWN})
            body = {"devices": ["x"], "add": ["y"]}
            assert await b.ask("POST", "/api/tags", body) == (503, {"error": DOWN})
            assert trio.current_time() - began < 1.5
            assert await b.run("rename", "x", "y") == (1, f"audio-server: x: {DOWN}\n")
            await b.until("/api/devices/x", name="Küche", tags=["kitchen"])
            found = await b.ask("GET", "/api/devices?tag=kitchen&state=all")
            assert [row["id"] for row in found[1]["rows"]] == ["x"]
        finally:
            engine.go_on()
    async with open_page(engine, tmp_path) as c:
        with trio.fail_after(PATIENCE_S):
            while (await c.ask("DELETE", "/api/devices/x"))[0] != 200:  # noqa: ASYNC110 (until its node is gone)
                await trio.sleep(0.1)
        assert engine.ask("EXISTS", "as:r:x", "as:d:x") == 0
        # 503 for as long as the nodes that were killed may still know it.
        assert (await c.ask("GET", "/api/devices/x"))[0] in (404, 503)


async def test_an_engine_that_is_slow_is_given_a_second(
    engine: EngineProcess, tmp_path: Path
) -> None:
    async with open_page(engine, tmp_path) as a, a.node.device("x"):
        await a.until("/api/devices/x", connected=True)
        engine.hang()
        try:
            began = trio.current_time()
            status, told = await a.ask("PATCH", "/api/devices/x", {"name": "y"})
            assert status == 503
            assert told["error"] == "the cluster does not answer: the change may still be made"
            assert trio.current_time() - began < 3
        finally:
            engine.go_on()
