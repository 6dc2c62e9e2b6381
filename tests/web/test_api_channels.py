"""Live channels over HTTP: sound that is sent, and bodies that are none."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.clips.ogg import opus_bytes
from audio_server.device.behaviour import Action, Button
from audio_server.device.live_channel import LiveChannel
from audio_server.live.pace import AHEAD_S
from audio_server.web.api.channels import BUSY, NOT_OPUS, UNKNOWN
from audio_server.wire.audio import unframe_packet

OURS = {"origin": f"http://{HOST}"}
PACKETS = [b"\xf8" + number.to_bytes(4, "big") for number in range(500)]
SOUND = opus_bytes(PACKETS)
CHANNELS = ("radio", "hall")


@pytest.fixture
def channels() -> list[LiveChannel]:
    return [LiveChannel(name) for name in CHANNELS]


@pytest.fixture
async def api(channels: list[LiveChannel]) -> AsyncIterator[Api]:
    async with an_api(channels=channels) as made:
        yield made


@pytest.mark.parametrize("size", [1000, 333, 70_000])
async def test_sound_is_put_in_real_time(
    api: Api, channels: list[LiveChannel], size: int, autojump_clock: MockClock
) -> None:
    parts = [SOUND[at : at + size] for at in range(0, len(SOUND), size)]
    begun = trio.current_time()
    sent = await api.ask("PUT", "/api/live/radio", parts, **OURS)
    assert sent.json == {"seconds": 10.0}
    assert 10 - AHEAD_S - 0.2 <= trio.current_time() - begun <= 10
    assert channels[0].edge == 500
    heard = [unframe_packet(channels[0].slice(number, number + 1)) for number in range(500)]
    assert heard == PACKETS
    assert not channels[0].is_sending


async def test_channels_are_listed_and_played_by_name(
    api: Api, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(api.ask, "PUT", "/api/live/radio", SOUND)
    await wait_all_tasks_blocked()
    listed = (await api.get("/api/live"))["channels"]
    assert [(one["name"], one["mode"], one["sending"]) for one in listed] == [
        ("radio", 3, True),
        ("hall", 4, False),
    ]
    with api.connected("a"):
        played = await api.ask("POST", "/api/play", {"devices": ["a"], "clip": "radio"}, **OURS)
        assert played.json["done"] == 1
        row = await api.get("/api/devices/a")
        assert (row["state"], row["playing"]["clip"]) == ("playing", "radio")
        await trio.sleep(20)
        assert (await api.get("/api/devices/a"))["state"] == "idle"


async def test_a_channel_is_played_on_devices(
    api: Api, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    radio = {"devices": "all", "live": "radio"}
    with api.connected("a"), api.connected("b", 2):
        silent = await api.ask("POST", "/api/play", radio, **OURS)
        assert (silent.status, silent.json) == (409, {"error": "no sound is sent to radio"})
        unknown = await api.ask("POST", "/api/play", radio | {"live": "tv"}, **OURS)
        assert (unknown.status, unknown.json) == (404, {"error": UNKNOWN})
        nursery.start_soon(api.ask, "PUT", "/api/live/radio", SOUND)
        await wait_all_tasks_blocked()
        played = await api.ask("POST", "/api/play", radio, **OURS)
        assert played.json == {"done": 2, "gone": [], "failed": {}}
        rows = (await api.get("/api/devices"))["rows"]
        assert [row["playing"]["clip"] for row in rows] == ["radio", "radio"]
        assert [row["mode"] for row in rows] == [0, 0]
        await trio.sleep(20)
        rows = (await api.get("/api/devices"))["rows"]
        assert [row["state"] for row in rows] == ["idle", "idle"]
        assert (await api.ask("POST", "/api/play", radio, **OURS)).status == 409


async def test_a_device_that_is_away_is_in_the_mode_of_its_channel(api: Api) -> None:
    with api.connected("a") as events:
        for _ in range(4):
            await events.press(Button.MODE, Action.PRESS)
        assert (await api.get("/api/devices/a"))["mode_name"] == "hall"
    assert (await api.get("/api/devices/a"))["mode_name"] == "hall"


async def test_a_second_sender_is_refused(
    api: Api, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    nursery.start_soon(api.ask, "PUT", "/api/live/radio", SOUND)
    await wait_all_tasks_blocked()
    second = await api.ask("PUT", "/api/live/radio", SOUND, **OURS)
    assert (second.status, second.json) == (409, {"error": BUSY})


async def test_a_sender_that_falls_silent_is_ended(
    api: Api, channels: list[LiveChannel], autojump_clock: MockClock
) -> None:
    silent = await api.ask("PUT", "/api/live/radio", [SOUND[:9000], b""], **OURS)
    assert silent.status == 408
    assert not channels[0].is_sending


STEREO = opus_bytes([b"\xfc" + bytes(4)] * 100)
LONG = opus_bytes([b"\xfb\x03" + bytes(4)] * 100)
NOT_WHOLE = opus_bytes([*PACKETS[:1], b"\xf1abc"])
DAMAGED = SOUND[:200] + b"x" + SOUND[201:]


@pytest.mark.parametrize(
    "body", [b"", b"no sound", STEREO, LONG, NOT_WHOLE, DAMAGED, SOUND[:60], b"OggS" * 50_000]
)
async def test_other_bodies_are_refused(
    body: bytes, api: Api, channels: list[LiveChannel], autojump_clock: MockClock
) -> None:
    refused = await api.ask("PUT", "/api/live/radio", body, **OURS)
    assert (refused.status, refused.json) == (422, {"error": NOT_OPUS})
    assert channels[0].edge == 0


async def test_an_unknown_channel(api: Api) -> None:
    refused = await api.ask("PUT", "/api/live/tv", SOUND, **OURS)
    assert (refused.status, refused.json) == (404, {"error": UNKNOWN})
