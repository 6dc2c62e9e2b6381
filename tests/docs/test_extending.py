"""The programs of docs/extending.md run, on real sockets, with devices of this project."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpclib.events
import pytest
import trio

import audio_server
import audio_server.rpc
from audio_server import OpenServer, Settings, open_server
from audio_server.clips.opus_decoder import OpusDecoder
from audio_server.rpc import Server
from audio_server.rpc.client import open_channel
from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.events import Event, PacketReceived

DOCUMENT = Path(__file__).parents[2] / "docs" / "extending.md"
PROGRAMS = dict(
    re.findall(
        r"^## ([^\n]+)\n.*?```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE
    )
)


def program(title: str) -> dict[str, Any]:
    """Return the names of a program, which is not run yet."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(PROGRAMS[title], title, "exec"), names)
    return names


@asynccontextmanager
async def running(title: str) -> AsyncIterator[OpenServer]:
    """Run the `main` of a program on a free port; its server is the block's."""
    names, opened = program(title), trio.Event()
    servers: list[OpenServer] = []

    @asynccontextmanager
    async def open_observed(_: Settings, **parts: Any) -> AsyncIterator[OpenServer]:
        settings = Settings(port=0, http="off", data=None, grace_s=1)
        async with open_server(settings, **parts) as server:
            servers.append(server)
            opened.set()
            yield server

    names["open_server"] = open_observed
    async with trio.open_nursery() as nursery:
        nursery.start_soon(names["main"])
        with trio.fail_after(60):
            await opened.wait()
        yield servers[0]
        nursery.cancel_scope.cancel()


class Ear:
    """A device with the packets that it received."""

    def __init__(self, name: str, port: int) -> None:
        self.device = VirtualDevice(name, partial(open_channel, "127.0.0.1", port))
        self.device.observers.append(self._observe)
        self.packets: list[PacketReceived] = []

    def _observe(self, at_s: float, event: Event) -> None:
        if isinstance(event, PacketReceived):
            self.packets.append(event)

    @property
    def flags(self) -> str:
        signs = {(True, False): "S", (False, False): "m", (False, True): "E", (True, True): "B"}
        return "".join(signs[packet.is_start, packet.is_end] for packet in self.packets)


@asynccontextmanager
async def ear(name: str, server: OpenServer) -> AsyncIterator[Ear]:
    one = Ear(name, server.port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.device.run)
        one.device.switch_on()
        await until(
            lambda: (
                name in server.devices.by_id and len(server.devices.by_id[name].attachments) == 3
            )
        )
        yield one
        nursery.cancel_scope.cancel()


async def until(holds: Any) -> None:
    with trio.fail_after(60):
        while not holds():  # noqa: ASYNC110 - a server of another program, which sets no event
            await trio.sleep(0.01)


async def test_hold_play_pauses_and_resumes() -> None:
    async with running("Hold Play to pause") as server, ear("a", server) as one:
        one.device.press(Button.PLAY)
        await until(lambda: len(one.packets) > 20)
        one.device.press(Button.PLAY, Action.HOLD)
        await until(lambda: one.flags.endswith("E"))
        assert server.devices.by_id["a"].state.paused
        clip = server.devices.clips[0]
        heard = len(one.packets) - 1
        assert [packet.data for packet in one.packets[:-1]] == list(clip.sound())[:heard]
        one.device.press(Button.PLAY, Action.HOLD)
        await until(lambda: len(one.packets) > heard + 10)
        resumed = [packet.data for packet in one.packets[heard + 1 : heard + 11]]
        assert resumed == list(clip.sound())[heard : heard + 10]
        assert re.fullmatch("Sm*ESm*", one.flags)


async def test_a_doorbell_rings_in_the_hall() -> None:
    async with (
        running("A doorbell") as server,
        ear("door", server) as door,
        ear("hall", server) as hall,
    ):
        door.device.press(Button.MODE)
        await until(lambda: len(hall.packets) > 15)
        assert hall.packets[0].data == next(server.devices.clips[2].sound())
        assert door.packets == []


async def test_a_tone_is_heard() -> None:
    async with running("A tone generator") as server, ear("a", server) as one:
        mode = len(server.devices.clips) - 1
        server.devices.by_id["a"].play(mode)
        await until(lambda: len(one.packets) > 40)
        decoder = OpusDecoder()
        pcm = b"".join(decoder.decode(packet.data) for packet in one.packets)
        samples = memoryview(pcm).cast("h")[9600:28800]
        rises = sum(a < 0 <= b for a, b in pairwise(samples))
        assert rises / (len(samples) / 48_000) == pytest.approx(400, abs=10)
        one.device.press(Button.STOP)
        await until(lambda: one.flags.endswith("E"))


async def test_a_service_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    await program("gRPC on trio without the rest")["main"]()
    assert capsys.readouterr().out == "SERVING\n"


def test_what_is_no_service_is_refused() -> None:
    with pytest.raises(TypeError, match="is no service"):
        Server([object()])  # type: ignore[list-item]


def test_listeners_of_grpclib_are_refused() -> None:
    with pytest.raises(TypeError, match="wrap the handlers"):
        grpclib.events.listen(Server([]), grpclib.events.RecvRequest, print)  # type: ignore[type-var]


@pytest.mark.parametrize("package", [audio_server, audio_server.rpc])
def test_every_public_name_is_there(package: Any) -> None:
    assert all(getattr(package, name) is not None for name in package.__all__)
    with pytest.raises(AttributeError):
        _ = package.no_such_name


async def test_a_server_in_another_thread() -> None:
    """No signal handler is needed, so it need not be the main thread."""

    async def serve_a_while() -> int:
        async with open_server(Settings(port=0, http="off", data=None)) as server:
            return server.port

    assert await trio.to_thread.run_sync(trio.run, serve_a_while) > 0


async def test_an_error_of_the_block_ends_the_server() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        async with open_server(Settings(port=0, http="off", data=None)):
            raise KeyError("mine")
    assert raised.group_contains(KeyError, match="mine")
