"""Devices over HTTP: what is told of them, and what is done to them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, nullcontext
from typing import Any

import pytest
import trio
import trio.testing
from api_kit import Api, an_api
from asgi import HOST, ask, listening, socketed
from trio.testing import MockClock

from audio_server.device.behaviour import Action, Button
from audio_server.fleet.broadcast import WATCHERS_MAX
from audio_server.web.api import models
from audio_server.web.api.bodies import JSON_S
from audio_server.web.api.devices import full_reason

OURS = {"origin": f"http://{HOST}"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with an_api() as made:
        yield made


async def test_devices_are_listed(api: Api) -> None:
    assert (await api.get("/api/devices"))["rows"] == []
    with api.connected("a"), api.connected("b", 2) as events:
        await events.press(Button.MODE, Action.PRESS)
        await trio.testing.wait_all_tasks_blocked()
        listed = await api.get("/api/devices")
        first, second = listed["rows"]
        assert (first["id"], first["mode"], first["address"]) == ("a", 0, "10.0.0.7:51234")
        assert (second["id"], second["mode_name"]) == ("b", "rain")
        assert second["last_press"]["button"] == "mode"
        assert 0 <= listed["now"] - first["since"] < 5


async def test_many_devices_are_listed_a_few_at_a_time(api: Api) -> None:
    """Whatever is due meanwhile has its turn."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    with ExitStack() as stack:
        for number in range(300):
            stack.enter_context(api.devices.attach_events(f"d{number}", number, None, None))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            rows = (await api.get("/api/devices"))["rows"]
            nursery.cancel_scope.cancel()
    assert [row["id"] for row in rows] == [f"d{number}" for number in range(300)]
    assert turns > 5


async def test_one_device_also_when_it_has_gone(api: Api) -> None:
    with api.connected("a"):
        assert (await api.get("/api/devices/a"))["connected"] is True
    await trio.testing.wait_all_tasks_blocked()
    assert (await api.get("/api/devices/a"))["connected"] is False
    unknown = await api.ask("GET", "/api/devices/nobody")
    assert (unknown.status, unknown.json) == (404, {"error": "no such device is connected"})


async def test_a_press_is_as_the_devices_own(api: Api) -> None:
    with api.connected("a"), api.connected("b", 2):
        answer = await api.ask("POST", "/api/devices/a/press", {"button": "mode"}, **OURS)
        assert (answer.status, answer.json["id"], answer.json["mode"]) == (200, "a", 1)
        assert api.devices.by_id["a"].state.mode == 1
        assert api.devices.by_id["b"].state.mode == 0
    gone = await api.ask("POST", "/api/devices/c/press", {"button": "mode"})
    assert (gone.status, gone.json["error"]) == (404, "no such device is connected")


def test_the_buttons_are_those_of_devices() -> None:
    assert {button.name.lower() for button in Button} == set(models.Button.__args__)


WRONG = [
    (b"", 400, "the body is not JSON"),
    (b'{"button":', 400, "the body is not JSON"),
    (b"\xff", 400, "the body is not JSON"),
    (b'{"button": "\xff"}', 400, "the body is not JSON"),
    (b"[]", 422, "the body has to be an object, not a list"),
    (b"{}", 422, "button is missing"),
    (b'{"button": "bell"}', 422, "button has a value that is not one of those allowed"),
    (b'{"button": 1}', 422, "button has to be text, not a whole number"),
    (b'{"button": "mode", "hold": true}', 422, "hold is unknown"),
    (b" " * (8 << 10) + b"{}", 413, "the body is larger than 8 KiB"),
    (b"[" * 8000, 422, "the body has to be an object, not a list"),
]


@pytest.mark.parametrize(("body", "status", "reason"), WRONG)
async def test_what_is_no_button_changes_nothing(
    api: Api, body: bytes, status: int, reason: str
) -> None:
    with api.connected("a"):
        path = "/api/devices/a/press"
        answer = await api.ask("POST", path, body, content_type="application/json")
        assert answer.status == status
        assert reason in answer.json["error"]
        assert "\n" not in answer.json["error"]
        assert api.devices.by_id["a"].state.mode == 0


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_is_not_said_to_be_json_is_not_read(api: Api, kind: str) -> None:
    answer = await api.ask("POST", "/api/stop", b'{"devices": "all"}', content_type=kind)
    assert (answer.status, "content-type: application/json" in answer.text) == (415, True)


async def test_pages_of_others_press_nothing(api: Api) -> None:
    with api.connected("a"):
        path = "/api/devices/a/press"
        answer = await api.ask("POST", path, {"button": "mode"}, origin="http://evil.example")
        assert answer.status == 403
        assert api.devices.by_id["a"].state.mode == 0


async def test_clips_play_on_some_or_all_and_are_stopped(api: Api) -> None:
    with api.connected("a"), api.connected("b", 2), api.devices.attach_events("c", 3, None, None):
        wanted = {"devices": ["a", "a", "nobody", "c"], "clip": "rain"}
        some = await api.ask("POST", "/api/play", wanted)
        failed = {"c": "it has no audio stream open"}
        assert some.json == {"done": 1, "gone": ["nobody"], "failed": failed}
        await trio.testing.wait_all_tasks_blocked()
        row = await api.get("/api/devices/a")
        assert (row["playing"]["clip"], row["playing"]["mode"], row["mode"]) == ("rain", 1, 0)
        everywhere = await api.ask("POST", "/api/play", {"devices": "all", "clip": "song"})
        assert everywhere.json == {"done": 2, "gone": [], "failed": failed}
        stopped = await api.ask("POST", "/api/stop", {"devices": "all"})
        assert stopped.json["done"] == 3
        await trio.testing.wait_all_tasks_blocked()
        rows = (await api.get("/api/devices"))["rows"]
        assert {row["state"] for row in rows} == {"idle"}


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"devices": "all", "clip": "nothing"}, 404, "nothing: there is no such clip"),
        ({"devices": "some", "clip": "rain"}, 422, "devices has a value that is not one of those"),
        ({"devices": [], "clip": "rain"}, 422, "devices has to have at least 1 entries"),
        (
            {"devices": ["a", 1], "clip": "rain"},
            422,
            "devices[1] has to be text, not a whole",
        ),
        ({"devices": "all"}, 422, "give either clip or live"),
        ({"devices": "all", "clip": "rain", "live": "radio"}, 422, "give either clip or live"),
        ({"devices": "all", "live": "radio"}, 404, "there is no such channel"),
    ],
)
async def test_what_cannot_be_played(api: Api, body: Any, status: int, reason: str) -> None:
    answer = await api.ask("POST", "/api/play", body)
    assert (answer.status, reason in answer.json["error"]) == (status, True)


async def test_devices_have_names(api: Api) -> None:
    with api.connected("a"):
        named = await api.ask("PATCH", "/api/devices/a", {"name": " Kitchen "})
        assert named.json == {"id": "a", "name": "Kitchen"}
        assert (await api.get("/api/devices/a"))["name"] == "Kitchen"
        nameless = await api.ask("PATCH", "/api/devices/a", {"name": None})
        assert nameless.json == {"id": "a", "name": None}
        for name in (" ", "x" * 65, "a\nb"):
            wrong = await api.ask("PATCH", "/api/devices/a", {"name": name})
            assert (wrong.status, wrong.json["error"].startswith("a name has")) == (422, True)
    assert (await api.ask("PATCH", "/api/devices/b", {"name": "Hall"})).status == 404


# -- what is told as it happens


async def test_changes_are_told(api: Api) -> None:
    with api.connected("a"):
        async with listening(api.app, "/api/devices/changes") as events:
            name, told = await events.next()
            assert (name, [row["id"] for row in told["rows"]]) == ("all", ["a"])
            with api.connected("b", 2):
                name, told = await events.next()
                assert name == "changes"
                assert "b" in [row["id"] for row in told["rows"]]
            assert (await events.next())[1]["gone"] == ["b"]


async def test_who_hears_nothing_for_long_is_told_so(api: Api, autojump_clock: Any) -> None:
    async with listening(api.app, "/api/events?follow=1") as events:
        assert await events.next_text() == ": here it begins\n\n"
        before = trio.current_time()
        assert await events.next_text() == ": still there\n\n"
        assert trio.current_time() - before == pytest.approx(15, abs=0.1)


async def test_a_stream_ends_with_what_it_tells(api: Api, monkeypatch: Any) -> None:
    """As it does for whoever is too slow, and when the server stops."""
    told, channel = trio.open_memory_channel[bytes](1)
    monkeypatch.setattr(api.context.fleet, "watching", lambda *_: nullcontext(channel))
    async with listening(api.app, "/api/devices/changes") as events:
        await events.next_text()
        await told.send(b"event: all\ndata: {}\n\n")
        assert await events.next() == ("all", {})
        told.close()
        assert await events.next_text() == ""


async def test_events_are_kept_and_followed(api: Api) -> None:
    async with listening(api.app, "/api/events?follow=true&device=a") as events:
        await events.next_text()
        with api.connected("a"), api.connected("b", 2):
            await api.ask("POST", "/api/devices/a/press", {"button": "mode"})
            kinds = [(await events.next())[1]["kind"] for _ in range(3)]
        past = (await api.get("/api/devices/a/events"))["events"]
        assert [one["kind"] for one in past[:3]] == kinds
        assert past == (await api.get("/api/events?device=a"))["events"]
        everything = (await api.get("/api/events"))["events"]
        assert {one["device"] for one in everything} == {"a", "b"}
    assert (await api.ask("GET", "/api/devices/nobody/events")).status == 404
    assert (await api.get("/api/events?device=nobody"))["events"] == []


@pytest.mark.parametrize("query", ["follow=perhaps", "devices=a", "device=a&device=b", "follow"])
async def test_parameters_that_are_wrong(api: Api, query: str) -> None:
    assert (await api.ask("GET", f"/api/events?{query}")).status == 400


async def test_so_many_may_watch_and_no_more(api: Api) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(WATCHERS_MAX):
            await nursery.start(_watch, api)
        full = await api.ask("GET", "/api/devices/changes")
        assert (full.status, full.json["error"]) == (503, full_reason())
        assert (await api.ask("GET", "/api/events?follow=1")).status == 503
        async with socketed(api.app, "/api/devices/changes") as page:
            assert (await page.next())["type"] == "websocket.accept"
            closed = await page.next()
            assert (closed["code"], closed["reason"]) == (4003, full_reason())
        nursery.cancel_scope.cancel()


async def test_a_page_gets_the_same_events_over_a_websocket(api: Api) -> None:
    with api.connected("a"):
        async with (
            socketed(api.app, "/api/devices/changes") as page,
            listening(api.app, "/api/devices/changes") as program,
        ):
            assert (await page.next())["type"] == "websocket.accept"
            assert (await page.next())["text"].startswith(":")
            told = event_of((await page.next())["text"])
            assert (told[0], [row["id"] for row in told[1]["rows"]]) == ("all", ["a"])
            name, data = await program.next()  # a moment later, perhaps
            assert (name, [row["id"] for row in data["rows"]]) == ("all", ["a"])


async def test_a_page_of_a_device_hears_of_it_alone(api: Api) -> None:
    async with socketed(api.app, "/api/events?device=b&follow=1") as page:
        assert (await page.next())["type"] == "websocket.accept"
        assert (await page.next())["text"].startswith(":")
        with api.connected("a"), api.connected("b", 2):
            name, data = event_of((await page.next())["text"])
            assert (name, data["device"]) == ("event", "b")


async def test_a_page_that_hears_nothing_is_told_that_all_is_well(
    autojump_clock: MockClock,
) -> None:
    async with an_api() as api, socketed(api.app, "/api/events") as page:
        for _ in range(2):
            await page.next()
        assert (await page.next())["text"] == ": still there\n\n"


def event_of(text: str) -> tuple[str, Any]:
    fields = dict(line.split(": ", 1) for line in text.strip().split("\n"))
    return fields["event"], json.loads(fields["data"])


async def _watch(api: Api, *, task_status: trio.TaskStatus[None]) -> None:
    async with listening(api.app, "/api/devices/changes"):
        task_status.started()
        await trio.sleep_forever()


async def test_a_body_that_does_not_come_is_not_waited_for(autojump_clock: MockClock) -> None:
    async with an_api() as api:
        said = await api.ask("POST", "/api/stop", [b"{", b""], content_type="application/json")
        assert (said.status, said.json) == (408, {"error": "the body has not come within 30 s"})
        assert trio.current_time() == JSON_S


# -- what is not there


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/devices/", "/api/about/"])
async def test_what_is_not_there_says_so(api: Api, path: str) -> None:
    answer = await api.ask("GET", path)
    assert (answer.status, "no such thing" in answer.json["error"]) == (404, True)


async def test_a_method_that_is_not_for_it_names_those_that_are(api: Api) -> None:
    for path, allow in (
        ("/api/devices/a", "DELETE, GET, HEAD, PATCH"),
        ("/api/play", "POST"),
        ("/api/devices/changes", "GET"),
    ):
        answer = await api.ask("PUT", path)
        assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert (await ask(api.app, "HEAD", "/api/about")).status == 200


async def test_a_fault_of_ours_is_logged_and_told(api: Api, monkeypatch: Any) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(api.context.fleet, "listed", fail)
    answer = await api.ask("GET", "/api/devices")
    assert (answer.status, list(answer.json)) == (500, ["error"])
    assert "a fault" not in answer.text


async def test_what_the_server_is(api: Api) -> None:
    about = await api.get("/api/about")
    assert (about["name"], about["workers"], about["login"]) == ("streaming-audio-server", 1, False)
    assert json.dumps(about["reason"]) == "null"
