"""Live channels of servers that share an engine, all of them processes."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import trio
from engine import EngineProcess
from members import PATIENCE_S, until
from node_process import DeviceOn
from pages import Page, open_page

from audio_server.clips.folder import default_clips
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.ogg_opus import read_opus
from audio_server.wire.audio import SILENCE

TONE = default_clips() / "1-square.opus"


@pytest.fixture
def packets() -> list[bytes]:
    """Sound of which each packet is another one."""
    with TONE.open("rb") as file:
        found = [piece.data for piece in islice(read_opus(file), 280) if piece.data != SILENCE]
    assert len(set(found)) > 200
    return found


@pytest.fixture
def sound(packets: list[bytes], tmp_path: Path) -> Path:
    """A file that takes half a minute to send; it may begin again."""
    file = tmp_path / "sound.opus"
    file.write_bytes(opus_bytes(packets * 6))
    return file


@asynccontextmanager
async def open_live(engine: EngineProcess, folder: Path, *flags: str) -> AsyncIterator[Page]:
    flags = ("--live", "radio,hall", "--live-patience-s", "1", *flags)
    async with open_page(engine, folder, *flags) as page:
        await page.node.wait("live channels are shared")
        yield page


async def listed(page: Page) -> dict[str, Any]:
    """The channel `radio`, as a node lists it."""
    _, answer = await page.ask("GET", "/api/live")
    (radio,) = (one for one in answer["channels"] if one["name"] == "radio")
    return dict(radio)


async def until_sending(page: Page, *, sending: bool) -> str | None:
    """Return the node of the sender, once it is so."""
    with trio.fail_after(PATIENCE_S):
        while (radio := await listed(page))["sending"] is not sending:  # noqa: ASYNC110
            await trio.sleep(0.02)
    node: str | None = radio["node"]
    return node


async def counted(page: Page, what: str) -> float:
    """A count of packets between nodes."""
    done = await trio.run_process(["curl", "-sS", f"{page.url}/metrics"], capture_stdout=True)
    name = f'audio_server_cluster_live_packets_total{{what="{what}"}}'
    return sum(
        float(line.split()[-1])
        for line in done.stdout.decode().splitlines()
        if line.startswith(name)
    )


def heard(device: DeviceOn) -> list[bytes]:
    return [one.data for one in device.packets if one.data != SILENCE]


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["processes", "workers"])
async def test_sound_that_comes_to_one_node_is_heard_at_all(
    engine: EngineProcess,
    tmp_path: Path,
    sound: Path,
    packets: list[bytes],
    workers: tuple[str, ...],
) -> None:
    async with (
        open_live(engine, tmp_path, *workers) as a,
        open_live(engine, tmp_path, *workers) as b,
        a.node.device("x") as x,
        b.node.device("y") as y,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(a.send, "PUT", "/api/live/radio", sound)
        node = await until_sending(b, sending=True)
        assert node is not None
        assert node.endswith(f":{a.node.port}")
        assert await counted(a, "sent") == 0
        assert (await b.send("PUT", "/api/live/radio", sound))[0] == 409
        status, answer = await b.ask("POST", "/api/play", {"devices": "all", "live": "radio"})
        assert (status, answer["done"]) == (200, 2)
        await until(lambda: len(heard(x)) > 100 and len(heard(y)) > 100)
        for device in (x, y):
            sounds, twice = heard(device)[:100], packets * 2
            first = twice.index(sounds[0])
            assert sounds == twice[first : first + 100]
        assert await counted(b, "missed") == 0
        received = await counted(b, "received")
        assert 60 < received < 150  # once, for any number of workers
        nursery.cancel_scope.cancel()


async def test_a_node_that_is_killed_frees_its_channel(
    engine: EngineProcess, tmp_path: Path, sound: Path
) -> None:
    async with (
        open_live(engine, tmp_path) as a,
        open_live(engine, tmp_path) as b,
        b.node.device("y") as y,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(try_send, a, sound)
        await until_sending(b, sending=True)
        await b.ask("POST", "/api/play", {"devices": "all", "live": "radio"})
        await y.wait_sound()
        a.node.process.kill()
        killed = trio.current_time()
        await until_sending(b, sending=False)
        assert trio.current_time() - killed < 5
        with trio.fail_after(PATIENCE_S):
            while not y.packets[-1].is_end:  # noqa: ASYNC110
                await trio.sleep(0.02)
        nursery.start_soon(try_send, b, sound)
        await until_sending(b, sending=True)
        nursery.cancel_scope.cancel()


async def test_an_engine_that_is_killed_ends_the_sound_of_other_nodes_alone(
    engine: EngineProcess, tmp_path: Path, sound: Path
) -> None:
    async with (
        open_live(engine, tmp_path) as a,
        open_live(engine, tmp_path) as b,
        a.node.device("x") as x,
        b.node.device("y") as y,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(a.send, "PUT", "/api/live/radio", sound)
        await until_sending(b, sending=True)
        await b.ask("POST", "/api/play", {"devices": "all", "live": "radio"})
        await x.wait_sound()
        await y.wait_sound()
        engine.kill()
        await until_sending(b, sending=False)
        with trio.fail_after(PATIENCE_S):
            while not y.packets[-1].is_end:  # noqa: ASYNC110
                await trio.sleep(0.02)
        assert sum(one.is_end for one in x.packets) == 0
        engine.start()
        await until_sending(b, sending=True)
        before = len(heard(y))
        await b.ask("POST", "/api/play", {"devices": "all", "live": "radio"})
        await until(lambda: len(heard(y)) > before + 20)
        assert not any(one.data == SILENCE for one in x.packets[:-30])
        nursery.cancel_scope.cancel()


async def test_nodes_have_lists_of_their_own(
    engine: EngineProcess, tmp_path: Path, sound: Path
) -> None:
    """A node plays the channels that it names itself."""
    async with (
        open_live(engine, tmp_path) as a,
        open_page(engine, tmp_path, "--live", "hall") as b,
        a.node.device("x") as x,
        b.node.device("y") as y,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(a.send, "PUT", "/api/live/radio", sound)
        await until_sending(a, sending=True)
        status, answer = await a.ask("POST", "/api/play", {"devices": "all", "live": "radio"})
        assert (status, answer["done"], list(answer["failed"])) == (200, 1, ["y"])
        assert (await b.ask("POST", "/api/play", {"devices": "all", "live": "radio"}))[0] == 404
        await x.wait_sound()
        assert not y.packets
        nursery.cancel_scope.cancel()


async def test_a_node_that_ends_frees_its_channel_at_once(
    engine: EngineProcess, tmp_path: Path, sound: Path
) -> None:
    async with open_live(engine, tmp_path) as b, trio.open_nursery() as nursery:
        async with open_live(engine, tmp_path, "--grace-s", "0") as a:
            nursery.start_soon(try_send, a, sound)
            await until_sending(b, sending=True)
            a.node.process.send_signal(signal.SIGTERM)
            await until_sending(b, sending=False)
            assert engine.ask("EXISTS", "as:live:channel:radio") == 0
        nursery.cancel_scope.cancel()


async def try_send(page: Page, sound: Path) -> None:
    """Send to a node that is killed meanwhile."""
    command = ["curl", "-sS", "-T", str(sound), f"{page.url}/api/live/radio"]
    await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
