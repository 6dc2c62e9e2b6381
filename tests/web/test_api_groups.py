"""Groups with settings of their own over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from api_kit import CLIPS, Api, an_api
from asgi import HOST
from repositories import shelf_of

from audio_server.clips.ogg import opus_bytes
from audio_server.device.behaviour import Action, Button, State
from audio_server.device.live_channel import LiveChannel
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE

OURS = {"origin": f"http://{HOST}"}
ALL_NULL = dict.fromkeys(
    ("clips", "lead_ms", "play_while_playing", "mode_while_playing", "stop_goes", "led_brightness")
)

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder with a folder of two clips, and a settings file."""
    folder = tmp_path / "data" / "lobby"
    folder.mkdir(parents=True)
    for name, packets in (("0-bell", 50), ("1-chime", 150)):
        (folder / f"{name}.opus").write_bytes(opus_bytes([SILENCE] * packets))
    (tmp_path / "settings.toml").write_text("[groups.hall]\nlead_ms = 100\n")
    return tmp_path


@pytest.fixture
async def api(home: Path) -> AsyncIterator[Api]:
    settings, shelf = Settings(data=home / "data"), shelf_of(CLIPS, home / "cache")
    channels = [LiveChannel("radio", 5)]
    async with an_api(shelf, settings, channels, home / "settings.toml") as made:
        yield made


async def change(api: Api, method: str, target: str, body: object, status: int = 200) -> object:
    answer = await api.ask(method, target, body, **OURS)
    assert answer.status == status, answer.text
    return answer.json


async def tag(api: Api, *device_ids: str) -> None:
    body = {"devices": list(device_ids), "add": ["lobby"]}
    await change(api, "POST", "/api/tags", body)


async def test_a_group_is_made_changed_and_taken_away(api: Api, home: Path) -> None:
    lobby = str(home / "data" / "lobby")
    made = await change(api, "PUT", "/api/groups/lobby", {"clips": lobby, "lead_ms": 60})
    expected = {
        "name": "lobby",
        "source": "api",
        "settings": {"clips": lobby, "lead_ms": 60},
        "clips": ["0-bell", "1-chime"],
        "devices": 0,
        "connected": 0,
    }
    assert made == expected
    assert await api.get("/api/groups/lobby") == expected
    names = [(one["name"], one["source"]) for one in (await api.get("/api/groups"))["groups"]]
    assert names == [("hall", "file"), ("lobby", "api")]
    made = await change(api, "PUT", "/api/groups/lobby", {"stop_goes": "keep", "lead_ms": None})
    assert made == {**expected, "settings": {"stop_goes": "keep"}, "clips": None}
    gone = await change(api, "DELETE", "/api/groups/lobby", b"")
    assert gone == {**expected, "source": None, "settings": {}, "clips": None}
    assert (await api.ask("GET", "/api/groups/lobby")).status == 404


async def test_some_settings_of_a_group_are_changed_and_taken_away(api: Api, home: Path) -> None:
    lobby = str(home / "data" / "lobby")
    for body, settings in (
        ({"lead_ms": 60}, {"lead_ms": 60}),
        (
            {"clips": lobby, "stop_goes": "keep"},
            {"clips": lobby, "lead_ms": 60, "stop_goes": "keep"},
        ),
        ({"lead_ms": None, "stop_goes": None}, {"clips": lobby}),
        ({}, {"clips": lobby}),
        ({"clips": None}, {}),
    ):
        changed = await change(api, "PATCH", "/api/groups/lobby", body)
        assert changed["settings"] == settings, body  # type: ignore[index]
        assert changed["source"] == ("api" if settings else None)  # type: ignore[index]
    for body, status in (({"lead_ms": 59}, 422), ({"lead": 60}, 422), ({"clips": "/"}, 409)):
        await change(api, "PATCH", "/api/groups/lobby", body, status)
    await change(api, "PATCH", "/api/groups/hall", {"lead_ms": 60}, 409)
    assert [one["name"] for one in (await api.get("/api/groups"))["groups"]] == ["hall"]


async def test_groups_are_listed_with_the_tags_that_have_no_settings(api: Api) -> None:
    with api.connected("a"), api.connected("b", 2):
        await tag(api, "a", "b")
        await change(api, "POST", "/api/tags", {"devices": ["a"], "add": ["attic"]})
    with api.connected("b", 2):
        (hall,) = (await api.get("/api/groups"))["groups"]
        assert (hall["name"], hall["devices"], hall["connected"]) == ("hall", 0, 0)
        groups = (await api.get("/api/groups?all=true"))["groups"]
        counts = [(one["name"], one["devices"], one["connected"]) for one in groups]
        assert counts == [("attic", 1, 0), ("hall", 0, 0), ("lobby", 2, 1)]
        assert groups[0]["source"] is None


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("lobby", {"lead_ms": 59}, 422, "lead_ms"),
        ("lobby", {"lead_ms": 100.5}, 422, "lead_ms"),
        ("lobby", {"led_brightness": 101}, 422, "led_brightness"),
        ("lobby", {"play_while_playing": "loop"}, 422, "play_while_playing"),
        ("lobby", {"lead": 100}, 422, "lead"),
        ("lobby", {"clips": ""}, 422, "clips"),
        ("a%20b", {}, 422, "a tag has 1 to 32 letters"),
        ("lobby", {"clips": "/"}, 409, "clips: / is not in "),
        ("hall", {}, 409, "[groups.hall] is in "),
    ],
)
async def test_a_mistake_gets_one_line(
    name: str, body: object, status: int, words: str, api: Api
) -> None:
    answer = await api.ask("PUT", f"/api/groups/{name}", body, **OURS)
    assert answer.status == status
    assert words in answer.json["error"]
    assert "\n" not in answer.json["error"]
    assert [one["name"] for one in (await api.get("/api/groups"))["groups"]] == ["hall"]


async def test_a_folder_without_clips_is_refused(api: Api, home: Path) -> None:
    empty = home / "data" / "empty"
    empty.mkdir()
    body = {"clips": str(empty)}
    refused = await change(api, "PUT", "/api/groups/lobby", body, 422)
    assert str(empty) in refused["error"]  # type: ignore[index]


async def test_a_device_that_gets_a_tag_plays_on_and_then_has_the_modes(
    api: Api, home: Path
) -> None:
    body = {"clips": str(home / "data" / "lobby"), "play_while_playing": "ignore"}
    await change(api, "PUT", "/api/groups/lobby", body)
    with api.connected("a") as events, api.connected("b", 2) as others:
        await events.press(Button.PLAY, Action.PRESS)
        await others.press(Button.PLAY, Action.PRESS)
        await tag(api, "a")
        device = api.devices.by_id["a"]
        assert device.source is not None
        assert device.source.name == "bell"
        await events.press(Button.PLAY, Action.PRESS)
        assert device.source.name == "bell"
        await events.press(Button.STOP, Action.PRESS)
        await events.press(Button.MODE, Action.PRESS)
        await events.press(Button.PLAY, Action.PRESS)
        assert device.source.name == "1-chime"
        assert (await api.get("/api/devices/a"))["mode_name"] == "1-chime"
        await others.press(Button.PLAY, Action.PRESS)
        assert api.devices.by_id["b"].source.name == "bell"  # type: ignore[union-attr]
        untag = {"devices": ["a"], "remove": ["lobby"]}
        await change(api, "POST", "/api/tags", untag)
        assert device.state == State(1, playing=1)
        assert (await api.get("/api/devices/a"))["mode_name"] == "rain"
        await events.press(Button.PLAY, Action.PRESS)
        assert device.source.name == "rain"


async def test_a_clip_is_played_by_its_name_in_each_folder(api: Api, home: Path) -> None:
    await change(api, "PUT", "/api/groups/lobby", {"clips": str(home / "data" / "lobby")})
    with ExitStack() as stack:
        for number, device_id in enumerate("ab", 1):
            stack.enter_context(api.connected(device_id, number))
        stack.enter_context(api.context.channels[0].sending())
        await tag(api, "a")
        for clip, failed, done in (
            ("1-chime", "b", 1),
            ("chime", "b", 1),
            ("bell", None, 2),
            ("song", "a", 1),
            ("radio", None, 2),
            ("1", None, 2),
            ("3", "a", 1),
        ):
            body = {"devices": "all", "clip": clip}
            answer = await change(api, "POST", "/api/play", body)
            reason = {failed: "there is no such clip"} if failed else {}
            assert answer == {"done": done, "gone": [], "failed": reason}, clip


async def test_of_a_clip_and_a_live_channel_of_one_name_the_devices_own_modes_decide(
    api: Api, home: Path
) -> None:
    radio = home / "data" / "lobby" / "2-radio.opus"
    radio.write_bytes(opus_bytes([SILENCE] * 50))
    await change(api, "PUT", "/api/groups/lobby", {"clips": str(home / "data" / "lobby")})
    with ExitStack() as stack:
        for number, device_id in enumerate("ab", 1):
            stack.enter_context(api.connected(device_id, number))
        stack.enter_context(api.context.channels[0].sending())
        await tag(api, "a")
        a, b = (api.devices.by_id[one] for one in "ab")
        for sound, playing in (
            ({"clip": "radio"}, ["2-radio", "radio"]),
            ({"live": "radio"}, ["radio", "radio"]),
            ({"clip": "2-radio"}, ["2-radio", "radio"]),
        ):
            answer = await change(api, "POST", "/api/play", {"devices": "all", **sound})
            assert answer == {"done": 2, "gone": [], "failed": {}}
            assert [one.source and one.source.name for one in (a, b)] == playing, sound
        refused = await change(api, "POST", "/api/play", {"devices": "all", "clip": "live/x"}, 404)
        assert "live/x: there is no such clip" in refused["error"]  # type: ignore[index]


async def test_a_mode_can_be_played_by_its_number() -> None:
    async with an_api() as api:
        with api.connected("a"):
            body = {"devices": ["a"], "clip": "2"}
            answer = await change(api, "POST", "/api/play", body)
            assert answer == {"done": 1, "gone": [], "failed": {}}
            assert api.devices.by_id["a"].source.name == "song"  # type: ignore[union-attr]
            body = {"devices": ["a"], "clip": "3"}
            refused = await change(api, "POST", "/api/play", body, 404)
            assert refused == {
                "error": "3: there is no such clip, and no such mode; "
                "`audio-server clips list` shows them"
            }


async def test_the_mode_of_a_device_that_is_away_is_called_as_in_its_group(
    api: Api, home: Path
) -> None:
    await change(api, "PUT", "/api/groups/lobby", {"clips": str(home / "data" / "lobby")})
    with api.connected("a") as events:
        await tag(api, "a")
        await events.press(Button.MODE, Action.PRESS)
    assert (await api.get("/api/devices/a"))["mode_name"] == "1-chime"
