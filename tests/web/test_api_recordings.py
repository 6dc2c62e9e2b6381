"""Recordings over HTTP: listed, heard in parts, deleted, and made clips."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST

from audio_server.clips.clip import Clip
from audio_server.clips.folder import default_clips
from audio_server.clips.ogg_opus import read_opus
from audio_server.clips.repository import open_repository
from audio_server.live.recordings import Recordings
from audio_server.web.api.recordings import NO_RECORDING, RUNNING

OURS = {"origin": f"http://{HOST}"}
TONE = default_clips() / "1-square.opus"
MISSING = "radio-20200101T000000Z.opus"


def packets_of(data: bytes) -> list[bytes]:
    return [piece.data for piece in read_opus(io.BytesIO(data))]


@pytest.fixture
def recordings(tmp_path: Path) -> Recordings:
    return Recordings(tmp_path / "recordings", 1 << 20, 1e9)


@pytest.fixture
def name(recordings: Recordings) -> str:
    file = recordings.begin("radio")
    file.write(packets_of(TONE.read_bytes()), is_end=True)
    file.close()
    return file.name


@pytest.fixture
async def api(recordings: Recordings, tmp_path: Path) -> AsyncIterator[Api]:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "00-home.opus").write_bytes(TONE.read_bytes())
    repository = await open_repository(folder, tmp_path / "cache")
    async with an_api(repository, recordings=recordings) as made:
        yield made


async def test_a_recording_is_listed_heard_and_deleted(
    api: Api, recordings: Recordings, name: str
) -> None:
    data = (recordings.folder / name).read_bytes()
    (one,) = (await api.get("/api/recordings"))["recordings"]
    assert (one["name"], one["channel"], one["running"]) == (name, "radio", False)
    assert one["bytes"] == len(data)
    assert one["seconds"] == pytest.approx(len(packets_of(data)) * 0.02)
    path = f"/api/recordings/{name}"
    heard = await api.ask("GET", f"{path}/sound")
    assert (heard.status, heard.body) == (200, data)
    part = await api.ask("GET", f"{path}/sound", range="bytes=100-199")
    assert (part.status, part.body) == (206, data[100:200])
    beyond = await api.ask("GET", f"{path}/sound", range=f"bytes={len(data)}-")
    assert beyond.status == 416
    deleted = await api.ask("DELETE", path, **OURS)
    assert (deleted.status, deleted.json) == (200, {"name": name})
    assert (await api.get("/api/recordings"))["recordings"] == []


async def test_a_recording_becomes_a_clip_bit_for_bit(
    api: Api, recordings: Recordings, name: str
) -> None:
    clips = await api.ask("POST", f"/api/recordings/{name}/clip", {}, **OURS)
    titles = [one["title"] for one in clips.json["clips"]]
    stamp = f"{name[6:10]}-{name[10:12]}-{name[12:14]} {name[15:17]}.{name[17:19]}"
    assert titles == ["home", f"radio {stamp}"]
    named = await api.ask("POST", f"/api/recordings/{name}/clip", {"title": "Mass"}, **OURS)
    assert [one["title"] for one in named.json["clips"]][2:] == ["Mass"]
    clip: Clip = api.context.repository.clips[2]
    assert list(clip.sound()) == packets_of((recordings.folder / name).read_bytes())
    assert len((await api.get("/api/recordings"))["recordings"]) == 1
    odd = await api.ask("POST", f"/api/recordings/{name}/clip", {"title": "a/b"}, **OURS)
    assert odd.status == 422


async def test_one_that_is_being_made_is_heard_and_stays(
    api: Api, recordings: Recordings, name: str
) -> None:
    recordings.running = {name}
    refused = await api.ask("DELETE", f"/api/recordings/{name}", **OURS)
    assert (refused.status, refused.json) == (409, {"error": RUNNING})
    assert (await api.get("/api/recordings"))["recordings"][0]["running"]
    assert (await api.ask("GET", f"/api/recordings/{name}/sound")).status == 200


@pytest.mark.parametrize(
    ("method", "after"), [("GET", "/sound"), ("DELETE", ""), ("POST", "/clip")]
)
@pytest.mark.parametrize("other", [MISSING, "..%2Fclips%2F00-home.opus", "00-home.opus", "%00"])
async def test_other_names(api: Api, method: str, after: str, other: str) -> None:
    body = {} if method == "POST" else b""
    refused = await api.ask(method, f"/api/recordings/{other}{after}", body, **OURS)
    assert refused.status == 404
    if other == MISSING:
        assert refused.json == {"error": NO_RECORDING}


ODD = "radio-20260101T000000Z.opus"


def make_folder(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.symlink_to(TONE)


@pytest.mark.parametrize("make", [make_folder, make_pipe, make_link])
@pytest.mark.parametrize(
    ("method", "after"), [("GET", "/sound"), ("DELETE", ""), ("POST", "/clip")]
)
async def test_other_kinds_of_files(
    api: Api, recordings: Recordings, make: Callable[[Path], None], method: str, after: str
) -> None:
    recordings.folder.mkdir()
    make(recordings.folder / ODD)
    path, body = f"/api/recordings/{ODD}{after}", {} if method == "POST" else b""
    with trio.fail_after(5):
        refused = await api.ask(method, path, body, **OURS)
    assert (refused.status, refused.json) == (404, {"error": NO_RECORDING})
    assert [path.name for path in recordings.folder.iterdir()] == [ODD]


@pytest.mark.parametrize("stamp", ["99999999T999999Z", "\u0661\u0661260101T000000Z"])
async def test_a_file_with_no_time_in_its_name_is_no_recording(
    api: Api, recordings: Recordings, stamp: str
) -> None:
    recordings.folder.mkdir()
    (recordings.folder / f"radio-{stamp}.opus").write_bytes(TONE.read_bytes())
    path = f"/api/recordings/radio-{quote(stamp)}.opus/clip"
    assert (await api.ask("POST", path, {}, **OURS)).status == 404
    assert (await api.get("/api/recordings"))["recordings"] == []


async def test_a_folder_that_cannot_be_read_or_changed(
    api: Api, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "unlink", fail)
    monkeypatch.setattr(os, "scandir", fail)
    refused = await api.ask("DELETE", f"/api/recordings/{name}", **OURS)
    reason = "the folder of recordings cannot be used (Read-only file system)"
    assert (refused.status, refused.json) == (503, {"error": reason})
    refused = await api.ask("GET", "/api/recordings")
    assert (refused.status, refused.json) == (503, {"error": reason})


async def test_a_server_that_keeps_nothing_has_none() -> None:
    async with an_api() as api:
        assert await api.get("/api/recordings") == {"recordings": []}
        for method, after in (("GET", "/sound"), ("DELETE", ""), ("POST", "/clip")):
            path, body = f"/api/recordings/{MISSING}{after}", {} if method == "POST" else b""
            assert (await api.ask(method, path, body, **OURS)).status == 404
