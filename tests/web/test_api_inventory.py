"""Devices that are away over HTTP: listed in pages, found, and forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST
from trio.testing import MockClock

from audio_server.device.behaviour import Action, Button
from audio_server.fleet.sightings import COLLECT_S

OURS = {"origin": f"http://{HOST}"}


@pytest.fixture
async def api(autojump_clock: MockClock) -> AsyncIterator[Api]:
    async with an_api() as made:
        yield made


async def been(api: Api, *device_ids: str) -> None:
    """Devices come and go."""
    for number, device_id in enumerate(device_ids, 100):
        with api.connected(device_id, number) as link:
            await link.press(Button.MODE, Action.PRESS)
    await trio.sleep(2 * COLLECT_S)


async def ids(api: Api, query: str) -> list[str]:
    rows = (await api.get(f"/api/devices{query}"))["rows"]
    return [row["id"] for row in rows]


async def test_devices_that_are_away_are_listed_if_asked_for(api: Api) -> None:
    await been(api, "hall", "attic")
    with api.connected("kitchen"):
        listed = await api.get("/api/devices")
        assert [row["id"] for row in listed["rows"]] == ["kitchen"]
        assert (listed["found"], listed["next"]) == (1, None)
        assert set(await ids(api, "?state=offline")) == {"hall", "attic"}
        assert set(await ids(api, "?state=all")) == {"hall", "attic", "kitchen"}
        assert await ids(api, "?state=idle") == ["kitchen"]
        assert await ids(api, "?state=playing") == []
        (hall,) = (await api.get("/api/devices?state=all&q=HALL"))["rows"]
        assert (hall["connected"], hall["mode"], hall["mode_name"]) == (False, 1, "rain")
        assert (hall["connections"], hall["since"]) == (1, hall["last_seen"])
        one = await api.get("/api/devices/hall")
        assert (one["connected"], one["last_seen"]) == (False, hall["last_seen"])
    await trio.sleep(2 * COLLECT_S)
    assert await ids(api, "?q=10.0.0.7+kitchen&state=offline") == ["kitchen"]


async def test_pages_of_a_list_have_each_device_once(api: Api) -> None:
    await been(api, *(f"d{number:02}" for number in range(25)))
    found, query = [], "?state=offline&limit=10"
    for expected in (10, 10, 5):
        listed = await api.get(f"/api/devices{query}")
        assert (len(listed["rows"]), listed["found"]) == (expected, 25)
        found += [row["id"] for row in listed["rows"]]
        query = f"?state=offline&limit=10&cursor={listed['next']}"
    assert (found, listed["next"]) == ([f"d{number:02}" for number in range(25)], None)
    assert await ids(api, "?state=offline&cursor=d22") == ["d23", "d24"]


async def test_one_is_forgotten_unless_it_is_connected(api: Api) -> None:
    await been(api, "hall")
    with api.connected("kitchen"):
        refused = await api.ask("DELETE", "/api/devices/kitchen", **OURS)
        assert (refused.status, refused.json["error"]) == (
            409,
            "it is connected; only devices that are away can be forgotten",
        )
    assert (await api.ask("DELETE", "/api/devices/hall", **OURS)).json == {"id": "hall"}
    unknown = await api.ask("DELETE", "/api/devices/hall", **OURS)
    assert (unknown.status, unknown.json) == (404, {"error": "no such device is known"})
    assert await ids(api, "?q=hall&state=all") == []


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("state=gone", "state has a value that is not one of those allowed"),
        ("limit=0", "limit has to be at least 1"),
        ("limit=5001", "limit has to be at most 5000"),
        ("limit=many", "limit has to be"),
        ("tag=two%20words", "tag"),
        ("q=" + 201 * "x", "q has to have at most 200 characters"),
        ("offline=1", "offline is unknown"),
    ],
)
async def test_a_wrong_parameter_says_so(api: Api, query: str, error: str) -> None:
    answer = await api.ask("GET", f"/api/devices?{query}")
    assert answer.status == 400
    assert error in answer.json["error"]
