"""The clips of groups over HTTP: listed, listened to, changed, each in its own folder."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST, Answer

from audio_server.clips import folder as clip_folder
from audio_server.clips import repository as repositories
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.repository import open_repository
from audio_server.device.behaviour import Action, Button
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE

OURS = {"origin": f"http://{HOST}"}


def fill(folder: Path, *titles: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, title in enumerate(titles):
        (folder / f"{number:02}-{title}.opus").write_bytes(sound(50 + number))


def sound(packets: int) -> bytes:
    return opus_bytes([SILENCE] * packets)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """All devices have two clips, device `a` the tag lobby, and the group hall a folder of the
    settings file."""
    fill(tmp_path / "clips", "home", "bell")
    fill(tmp_path / "hall", "horn", "drum")
    (tmp_path / "settings.toml").write_text(
        f'[groups.hall]\nclips = "{tmp_path}/hall"\n[groups.attic]\nlead_ms = 100\n'
    )
    clips = await open_repository(tmp_path / "clips", tmp_path / "cache")
    settings = Settings(data=tmp_path / "data")
    async with an_api(clips, settings, (), tmp_path / "settings.toml") as made:
        with made.connected("a"):
            await made.ask("POST", "/api/tags", {"devices": ["a"], "add": ["lobby"]}, **OURS)
            yield made


async def listed(api: Api, which: str = "") -> list[str]:
    return [clip["title"] for clip in (await api.get(f"/api/clips{which}"))["clips"]]


def titles(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [clip["title"] for clip in answer.json["clips"]]


async def test_a_group_gets_a_folder_with_the_first_change(api: Api, tmp_path: Path) -> None:
    """No mode vanishes that nobody removed, and the folder of all devices stays as it is."""
    before = await api.get("/api/clips?group=lobby")
    assert ([clip["title"] for clip in before["clips"]], before["own"]) == (["home", "bell"], False)
    with api.connected("b", 2) as other:
        added = await api.ask("POST", "/api/clips?group=lobby&name=gong.opus", sound(7), **OURS)
        assert titles(added) == ["home", "bell", "gong"]
        assert added.json["own"]
        group = await api.get("/api/groups/lobby")
        assert group["settings"] == {"clips": str(tmp_path / "data" / "groups" / "lobby")}
        assert await listed(api) == ["home", "bell"]
        assert sorted(one.name for one in (tmp_path / "clips").iterdir()) == [
            "00-home.opus",
            "01-bell.opus",
        ]
        assert len(api.devices.by_id["a"].profile.clips) == 3
        assert len(api.devices.by_id["b"].profile.clips) == 2
        await other.press(Button.MODE, Action.PRESS)
        assert await listed(api, "?device=a") == ["home", "bell", "gong"]
        assert (
            await listed(api, "?device=b")
            == await listed(api, "?device=nobody")
            == await listed(api)
        )


async def test_clips_of_a_group_are_changed_in_all_ways(api: Api, tmp_path: Path) -> None:
    for method, target, body, expected in (
        ("PATCH", "/api/clips/bell?group=lobby", {"title": "gong"}, ["home", "gong"]),
        ("POST", "/api/clips?group=lobby&name=rain.opus", sound(9), ["home", "gong", "rain"]),
        ("PUT", "/api/clips/rain?group=lobby", sound(25), ["home", "gong", "rain"]),
        (
            "PUT",
            "/api/clips/order?group=lobby",
            {"names": ["rain", "home", "gong"]},
            ["rain", "home", "gong"],
        ),
        ("DELETE", "/api/clips/home?group=lobby", b"", ["rain", "gong"]),
        ("POST", "/api/clips/reload?group=lobby", b"", ["rain", "gong"]),
    ):
        assert titles(await api.ask(method, target, body, **OURS)) == expected, target
        assert [clip.name[-4:] for clip in api.devices.by_id["a"].profile.clips] == [
            title[-4:] for title in expected
        ]
    assert await listed(api) == ["home", "bell"]
    heard = await api.ask("GET", "/api/clips/rain/sound?group=lobby")
    assert (heard.status, heard.body) == (200, sound(25))
    assert (await api.ask("GET", "/api/clips/rain/sound?device=a")).body == sound(25)
    assert (await api.ask("GET", "/api/clips/rain/sound")).status == 404
    drawn = await api.get("/api/clips/rain/waveform?group=lobby&points=5")
    assert len(drawn["peaks"]) == 5
    fill(tmp_path / "data" / "groups" / "lobby", "zero")
    assert "zero" in titles(await api.ask("POST", "/api/clips/reload?group=lobby", b"", **OURS))


async def test_a_file_that_is_no_clip_leaves_the_group_as_it_was(api: Api, tmp_path: Path) -> None:
    answer = await api.ask("POST", "/api/clips?group=lobby&name=x.opus", b"no sound", **OURS)
    assert (answer.status, list(answer.json)) == (422, ["error"])
    assert (await api.ask("DELETE", "/api/clips/nothing?group=lobby", **OURS)).status == 404
    assert (await api.get("/api/groups/lobby"))["source"] is None
    assert not (tmp_path / "data" / "groups").exists()


async def test_a_folder_of_the_settings_file_is_changed_in_place(api: Api, tmp_path: Path) -> None:
    added = await api.ask("POST", "/api/clips?group=hall&name=gong.opus", sound(7), **OURS)
    assert titles(added) == ["horn", "drum", "gong"]
    assert (tmp_path / "hall" / "02-gong.opus").is_file()
    assert (await api.get("/api/groups/hall"))["clips"] == ["00-horn", "01-drum", "02-gong"]
    body = {"clips": str(tmp_path / "data" / ".." / "clips" / ".." / "hall")}
    await api.ask("PUT", "/api/groups/lobby", body, **OURS)  # refused: it is in no root
    shutil.rmtree(tmp_path / "hall")
    gone = await api.ask("DELETE", "/api/clips/horn?group=hall", b"", **OURS)
    reason = f"{tmp_path}/hall: the folder of the group is not there"
    assert (gone.status, gone.json) == (403, {"error": reason})
    after = await api.get("/api/clips?group=hall")
    assert after["fixed_because"] == "the folder of the group is not there"
    assert len(after["clips"]) == 3


async def test_one_folder_of_two_groups_changes_for_both(api: Api, tmp_path: Path) -> None:
    shared = tmp_path / "data" / "shared"
    fill(shared, "one")
    for name, path in (("lobby", shared), ("yard", f"{tmp_path}/data/./shared/")):
        answer = await api.ask("PUT", f"/api/groups/{name}", {"clips": str(path)}, **OURS)
        assert answer.status == 200
    await api.ask("POST", "/api/clips?group=yard&name=two.opus", sound(7), **OURS)
    assert await listed(api, "?group=lobby") == await listed(api, "?group=yard") == ["one", "two"]
    assert len(api.devices.by_id["a"].profile.clips) == 2


async def test_folders_that_are_not_the_groups_are_never_written_to(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(group: str) -> str:
        target = f"/api/clips?group={group}&name=x.opus"
        answer = await api.ask("POST", target, sound(5), **OURS)
        assert answer.status == 403
        return str(answer.json["error"])

    assert "[groups.attic] in " in await refused("attic")
    monkeypatch.setattr(clip_folder, "default_clips", lambda: tmp_path / "hall")
    assert "these clips come with the server" in await refused("hall")
    monkeypatch.undo()
    monkeypatch.setattr(clip_folder.os, "access", lambda *_: False)
    assert await refused("hall") == f"{tmp_path}/hall: cannot be written to"
    monkeypatch.undo()
    await api.ask("PUT", "/api/groups/lobby", {"clips": str(tmp_path / "clips")}, **OURS)
    assert "this is the folder of all devices" in await refused("lobby")
    assert await listed(api) == ["home", "bell"]


async def test_a_group_without_a_data_folder_gets_none(tmp_path: Path) -> None:
    fill(tmp_path / "clips", "home")
    clips = await open_repository(tmp_path / "clips", tmp_path / "cache")
    async with an_api(clips, Settings(data=None)) as api:
        with api.connected("a"):
            await api.ask("POST", "/api/tags", {"devices": ["a"], "add": ["lobby"]}, **OURS)
            answer = await api.ask("DELETE", "/api/clips/home?group=lobby", b"", **OURS)
            assert (answer.status, "--data FOLDER" in answer.json["error"]) == (403, True)


@pytest.mark.parametrize(
    ("which", "status"),
    [("group=nobody", 404), ("group=a%20b", 400), ("group=lobby&device=a", 400), ("x=1", 400)],
)
async def test_a_group_that_is_none_is_refused(api: Api, which: str, status: int) -> None:
    answer = await api.ask("GET", f"/api/clips?{which}")
    assert (answer.status, list(answer.json)) == (status, ["error"])


async def test_a_folder_of_an_earlier_time_is_left_alone(api: Api, tmp_path: Path) -> None:
    for number, expected in enumerate(("lobby", "lobby-2")):
        target = f"/api/clips?group=lobby&name={number}x.opus"
        assert (await api.ask("POST", target, sound(5), **OURS)).status == 200
        group = await api.get("/api/groups/lobby")
        assert group["settings"]["clips"] == str(tmp_path / "data" / "groups" / expected)
        await api.ask("DELETE", "/api/groups/lobby", b"", **OURS)
        assert await listed(api, "?group=lobby") == ["home", "bell"]


async def test_two_first_uploads_at_once_make_one_folder(api: Api, tmp_path: Path) -> None:
    async def send(title: str) -> None:
        target = f"/api/clips?group=lobby&name={title}.opus"
        assert (await api.ask("POST", target, sound(5), **OURS)).status == 200

    async with trio.open_nursery() as nursery:
        for title in ("one", "two", "three"):
            nursery.start_soon(send, title)
    assert sorted(await listed(api, "?group=lobby")) == sorted(
        ["home", "bell", "one", "two", "three"]
    )
    assert [one.name for one in (tmp_path / "data" / "groups").iterdir()] == ["lobby"]
    assert repositories.UPLOADS_MAX == 16


async def test_a_group_is_read_while_it_gets_its_folder(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = api.context.groups
    take, seen = groups._takers.take, []

    async def taking() -> None:
        await take()
        seen.append(await groups.repositories.of_group("lobby"))

    monkeypatch.setattr(groups._takers, "take", taking)
    target = "/api/clips?group=lobby&name=gong.opus"
    assert titles(await api.ask("POST", target, sound(7), **OURS)) == ["home", "bell", "gong"]
    assert len({id(one) for one in (*seen, await groups.repositories.of_group("lobby"))}) == 1


async def test_a_group_that_cannot_be_kept_leaves_no_folder(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target, base = "/api/clips?group=lobby&name=gong.opus", tmp_path / "data" / "groups"
    with monkeypatch.context() as full:
        full.setattr(api.context.groups._kept_in, "write", fail)
        answer = await api.ask("POST", target, sound(7), **OURS)
        assert (answer.status, "No space left" in answer.json["error"]) == (409, True)
    assert list(base.iterdir()) == []
    assert titles(await api.ask("POST", target, sound(7), **OURS)) == ["home", "bell", "gong"]
    assert [one.name for one in base.iterdir()] == ["lobby"]


async def test_clips_of_others_stay_cached(api: Api, tmp_path: Path) -> None:
    for group, name, packets in (("hall", "gong", 77), ("lobby", "rain", 9)):
        target = f"/api/clips?group={group}&name={name}.opus"
        assert (await api.ask("POST", target, sound(packets), **OURS)).status == 200
    await api.get("/api/clips/gong/waveform?group=hall")
    before = {one.name for one in (tmp_path / "cache").iterdir()}
    api.context.repository.cache._max_bytes = 1
    await api.get("/api/clips/rain/waveform?group=lobby")
    assert before <= {one.name for one in (tmp_path / "cache").iterdir()}
