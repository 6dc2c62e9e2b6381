"""Devices that are away over HTTP: listed in pages, found, and forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST
from trio.testing import MockClock

from audio_server.device.behaviour import Action, Button
from audio_server.device.takeover import CallKind
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
        ("limit=null", "limit has to be"),
        ("tag=two%20words", "tag"),
        ("q=" + 201 * "x", "q has to have at most 200 characters"),
        ("offline=1", "offline is unknown"),
    ],
)
async def test_a_wrong_parameter_says_so(api: Api, query: str, error: str) -> None:
    answer = await api.ask("GET", f"/api/devices?{query}")
    assert answer.status == 400
    assert error in answer.json["error"]


# -- tags, and groups made of them


async def test_tags_are_given_and_taken_away_of_many_at_once(api: Api) -> None:
    await been(api, "attic")
    with api.connected("hall"), api.connected("kitchen", 2):
        change = {"devices": ["attic", "hall", "nobody"], "add": ["Lobby", "east"]}
        answer = await api.ask("POST", "/api/tags", change, **OURS)
        assert answer.json == {"done": 2, "gone": ["nobody"], "failed": {}}
        assert await ids(api, "?tag=lobby") == ["hall"]
        assert set(await ids(api, "?tag=lobby&state=all")) == {"hall", "attic"}
        assert (await api.get("/api/devices/attic"))["tags"] == ["east", "lobby"]
        change = {"devices": {"tag": "lobby"}, "remove": ["east"], "add": ["west"]}
        assert (await api.ask("POST", "/api/tags", change, **OURS)).json["done"] == 2
        assert (await api.get("/api/devices/attic"))["tags"] == ["lobby", "west"]
        everywhere = {"devices": "all", "add": ["house"]}
        assert (await api.ask("POST", "/api/tags", everywhere, **OURS)).json["done"] == 3
        assert set(await ids(api, "?tag=house&state=all")) == {"attic", "hall", "kitchen"}


async def test_a_group_is_played_on_stopped_and_pressed(api: Api) -> None:
    await been(api, "attic")
    with api.connected("hall"), api.connected("kitchen", 2), api.connected("cellar", 3):
        change = {"devices": ["attic", "hall", "kitchen"], "add": ["lobby"]}
        await api.ask("POST", "/api/tags", change, **OURS)
        lobby = {"devices": {"tag": "lobby"}}
        done = {"done": 2, "gone": [], "failed": {}}  # the attic is away, which is no failure
        played = await api.ask("POST", "/api/play", lobby | {"clip": "song"}, **OURS)
        assert played.json == done
        assert set(await ids(api, "?state=playing")) == {"hall", "kitchen"}
        assert (await api.ask("POST", "/api/stop", lobby, **OURS)).json == done
        assert await ids(api, "?state=playing") == []
        pressed = await api.ask("POST", "/api/press", lobby | {"button": "mode"}, **OURS)
        assert pressed.json == done
        modes = {row["id"]: row["mode"] for row in (await api.get("/api/devices"))["rows"]}
        assert modes == {"hall": 1, "kitchen": 1, "cellar": 0}
        every = await api.ask("POST", "/api/press", {"devices": "all", "button": "mode"}, **OURS)
        assert every.json["done"] == 3
        some = {"devices": ["hall", "nobody"], "button": "stop"}
        outcome = (await api.ask("POST", "/api/press", some, **OURS)).json
        assert outcome == {"done": 1, "gone": ["nobody"], "failed": {}}


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("stop", {"devices": {"tag": "nowhere"}}, 404, "no device has the tag: nowhere"),
        ("stop", {"devices": {"tag": "No Where"}}, 422, "devices"),
        ("stop", {"devices": {}}, 422, "give either tag or match"),
        ("tags", {"devices": ["a"], "add": ["two words"]}, 422, "a tag has 1 to 32 letters"),
        ("tags", {"devices": ["a"], "add": 17 * ["x"]}, 422, "add has to have at most 16"),
        ("press", {"devices": ["a"], "button": "bell"}, 422, "button has a value"),
    ],
)
async def test_a_wrong_group_says_so(
    api: Api, path: str, body: object, status: int, error: str
) -> None:
    answer = await api.ask("POST", f"/api/{path}", body, **OURS)
    assert (answer.status, error in answer.json["error"]) == (status, True), answer.text


async def test_devices_are_found_by_errors_leds_and_firmware(api: Api) -> None:
    with api.connected("hall"), api.connected("kitchen", 2):
        hall, kitchen = api.devices.by_id["hall"], api.devices.by_id["kitchen"]
        hall.attachments[CallKind.STATUS].note_firmware("2.7.1")
        kitchen.attachments[CallKind.EVENTS].note_firmware(None)
        kitchen.learn(kitchen.report.erred("it failed").answered(0.1, (0xFF, *[0] * 5), None))
        hall.learn(hall.report.answered(0.1, hall.display.status.frame.leds, None))
        assert await ids(api, "?errors=true") == ["kitchen"]
        assert await ids(api, "?leds=differ") == ["kitchen"]
        assert await ids(api, "?firmware=2.7.1") == ["hall"]
        assert await ids(api, "?q=2.7") == ["hall"]
        assert await ids(api, "?firmware=2.7.1&errors=true") == []
        assert (await api.get("/api/devices/hall"))["firmware"] == "2.7.1"
    await trio.sleep(2 * COLLECT_S)
    assert await ids(api, "?state=offline&firmware=2.7.1") == ["hall"]
    assert await ids(api, "?state=all&errors=1") == ["kitchen"]
    assert await ids(api, "?state=all&leds=differ") == []  # they are away
    for wrong in ("errors=x", "leds=same", f"firmware={'x' * 65}"):
        assert (await api.ask("GET", f"/api/devices?{wrong}")).status == 400
