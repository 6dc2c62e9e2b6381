"""Between a page and its device: a page that is slow, gone, or says what is no press."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from starlette.datastructures import Address
from starlette.websockets import WebSocketDisconnect
from trio.testing import MockClock
from trio_util import AsyncValue

from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.events import LedsSet, PacketReceived
from audio_server.web.websocket_bridge import FULL, QUEUE_MAX, Closing, WebSocketBridge, pack
from audio_server.wire.audio import SILENCE


class FakeSocket:
    """A page's end; it takes what it is sent while `takes` is set."""

    client = Address("192.0.2.1", 50000)

    def __init__(self) -> None:
        self.sent: list[str | bytes] = []
        self.closed: int | None = None
        self.takes = trio.Event()
        self.say, self._said = trio.open_memory_channel[str](10)

    async def send_text(self, text: str) -> None:
        await self.takes.wait()
        self.sent.append(text)

    send_bytes = send_text

    async def receive_text(self) -> str:
        try:
            return await self._said.receive()
        except trio.EndOfChannel:
            raise WebSocketDisconnect from None

    async def close(self, code: int) -> None:
        self.closed = code

    def events(self) -> list[str]:
        return [json.loads(text)["event"] for text in self.sent if isinstance(text, str)]


@asynccontextmanager
async def nobody() -> Any:
    raise OSError("nobody is there")
    yield


class Page:
    """A relay that runs, with both its ends."""

    def __init__(self) -> None:
        self.socket = FakeSocket()
        self.device = VirtualDevice("a", nobody)
        self.over = trio.Event()
        self.version = AsyncValue(0)
        self.ended = False
        socket: Any = self.socket
        self.bridge = WebSocketBridge(socket, self.device, pcm=False)

    async def run(self) -> None:
        await self.bridge.run(lambda: {"event": "hello"}, self.version, self.over)
        self.ended = True


@pytest.fixture
async def page(autojump_clock: MockClock, nursery: trio.Nursery) -> Page:
    page = Page()
    nursery.start_soon(page.run)
    await trio.testing.wait_all_tasks_blocked()
    return page


async def test_a_slow_page_pauses_its_device(page: Page) -> None:
    for _ in range(FULL):
        page.device.emit(PacketReceived(False, False, b"x"))
    assert not page.device.reading.value
    page.socket.takes.set()
    await trio.testing.wait_all_tasks_blocked()
    assert page.device.reading.value
    assert len(page.socket.sent) > FULL


async def test_a_page_that_takes_nothing_loses_its_device(page: Page) -> None:
    for _ in range(QUEUE_MAX + 2):
        page.device.emit(LedsSet((0,) * 6))
    await trio.testing.wait_all_tasks_blocked()
    assert (page.ended, page.socket.closed) == (True, Closing.SLOW)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"press": "none"}', '{"press": "bell"}', '{"press": 1}', "null", "[" * 4096],
)
async def test_what_is_no_press_ends_the_page(page: Page, text: str) -> None:
    page.socket.takes.set()
    page.socket.say.send_nowait(text)
    await trio.testing.wait_all_tasks_blocked()
    assert (page.ended, page.socket.closed) == (True, Closing.UNCLEAR)


async def test_presses_and_power_reach_the_device(page: Page) -> None:
    page.socket.takes.set()
    for text in ('{"press": "mode"}', '{"power": true}'):
        page.socket.say.send_nowait(text)
    await trio.testing.wait_all_tasks_blocked()
    assert page.device.is_on
    assert page.device.queued == 1
    page.socket.say.send_nowait('{"power": false}')
    await trio.testing.wait_all_tasks_blocked()
    assert not page.device.is_on
    assert page.socket.events()[:2] == ["hello", "link"]
    assert "lost" in page.socket.events()


async def test_what_has_changed_is_told_again(page: Page) -> None:
    page.socket.takes.set()
    for _ in range(2):
        page.version.value += 1
        await trio.testing.wait_all_tasks_blocked()
    assert page.socket.events() == ["hello", "link", "hello", "hello"]


async def test_a_page_that_goes_takes_its_device_along(page: Page) -> None:
    page.device.switch_on()
    page.socket.say.close()
    await trio.testing.wait_all_tasks_blocked()
    assert (page.ended, page.socket.closed) == (True, None)


async def test_the_end_of_the_server_is_told(page: Page) -> None:
    page.over.set()
    await trio.testing.wait_all_tasks_blocked()
    assert (page.ended, page.socket.closed) == (True, Closing.RESTART)


def test_a_packet_says_what_it_is() -> None:
    assert pack(PacketReceived(True, False, b"ab"), b"") == b"\x01\x00\x02ab"
    assert pack(PacketReceived(False, True, b"ab"), b"cd") == b"\x02\x00\x02abcd"
    assert pack(PacketReceived(False, True, SILENCE), b"")[0] == 6
