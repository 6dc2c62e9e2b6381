"""The microphone of a page on a live channel: who may send, what is taken, and how it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST, Socket, socketed
from structlog.testing import capture_logs
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.device.live_channel import ChannelBusy, LiveChannel
from audio_server.live.pace import AHEAD_S
from audio_server.web.api.channels import BUSY, UNKNOWN
from audio_server.web.microphones import (
    ENDING,
    NO_PACKET,
    NOTHING_CAME,
    REFUSED,
    RESTART,
    SENDING,
    SILENT,
    SILENT_S,
    UNCLEAR,
)
from audio_server.wire.audio import unframe_packet

OURS = {"origin": f"http://{HOST}"}
PACKETS = [b"\xf8" + number.to_bytes(4, "big") for number in range(500)]


@pytest.fixture
def channel() -> LiveChannel:
    return LiveChannel("radio")


@pytest.fixture
async def api(channel: LiveChannel) -> AsyncIterator[Api]:
    with capture_logs():
        async with an_api(channels=[channel]) as made:
            yield made


@asynccontextmanager
async def speaking(api: Api) -> AsyncIterator[Socket]:
    """A page whose channel it is."""
    async with socketed(api.app, "/api/live/radio", **OURS) as page:
        assert (await page.next())["type"] == "websocket.accept"
        assert (await page.next())["text"] == SENDING
        yield page


def closed(code: int, reason: str) -> dict[str, object]:
    return {"type": "websocket.close", "code": code, "reason": reason}


async def test_packets_are_put_in_real_time(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    async with speaking(api) as page:
        page.send(*PACKETS)
        await trio.sleep(9.8 - AHEAD_S)
        assert 480 < channel.edge < 500
        await trio.sleep(0.2)
        assert [
            unframe_packet(channel.slice(number, number + 1)) for number in range(500)
        ] == PACKETS
        assert channel.is_sending
    await wait_all_tasks_blocked()
    assert not channel.is_sending


async def test_a_page_is_heard_on_a_device(api: Api, autojump_clock: MockClock) -> None:
    async with speaking(api) as page:
        page.send(*PACKETS[:100])
        with api.connected("a"):
            order = {"devices": ["a"], "clip": "radio"}
            assert (await api.ask("POST", "/api/play", order, **OURS)).json["done"] == 1
            assert (await api.get("/api/devices/a"))["state"] == "playing"


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "http://evil.example"}, {"origin": f"http://{HOST}.evil.example"}]
)
async def test_other_pages_and_programs_are_refused(
    headers: dict[str, str], api: Api, channel: LiveChannel
) -> None:
    async with socketed(api.app, "/api/live/radio", **headers) as page:
        refused = await page.next()
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
    assert not channel.is_sending


async def test_an_unknown_channel(api: Api) -> None:
    async with socketed(api.app, "/api/live/tv", **OURS) as page:
        await page.next()
        assert await page.next() == closed(REFUSED, UNKNOWN)


async def test_one_sender_at_a_time(api: Api) -> None:
    async with speaking(api), socketed(api.app, "/api/live/radio", **OURS) as second:
        await second.next()
        assert await second.next() == closed(REFUSED, BUSY)


@pytest.mark.parametrize(
    "message", [b"", "text", b"\xfc" + bytes(4), b"\xfb\x03" + bytes(4), b"\xf8" + bytes(1400)]
)
async def test_other_messages_end_it(
    message: bytes | str, api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    async with speaking(api) as page:
        page.send(PACKETS[0], message, PACKETS[1])
        assert await page.next() == closed(UNCLEAR, NO_PACKET)
    assert channel.edge == 1


async def test_a_page_that_sends_nothing_gives_the_channel_back(
    api: Api, channel: LiveChannel, autojump_clock: MockClock
) -> None:
    async with speaking(api) as page:
        page.send(PACKETS[0])
        begun = trio.current_time()
        assert await page.next() == closed(SILENT, NOTHING_CAME)
        assert trio.current_time() - begun == pytest.approx(SILENT_S, abs=0.1)
        assert not channel.is_sending


async def test_a_page_that_another_node_displaces(
    api: Api, channel: LiveChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The news of that came with the packet, so that nothing was cancelled yet."""

    def put(packet: bytes) -> None:
        raise ChannelBusy

    monkeypatch.setattr(channel, "put", put)
    async with speaking(api) as page:
        page.send(PACKETS[0])
        assert await page.next() == closed(REFUSED, BUSY)
    assert not channel.is_sending


async def test_a_server_that_stops_tells_the_page(api: Api, channel: LiveChannel) -> None:
    async with speaking(api) as page:
        api.context.over.set()
        assert await page.next() == closed(RESTART, ENDING)
        assert not channel.is_sending
