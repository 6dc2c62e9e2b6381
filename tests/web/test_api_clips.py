"""Clips over HTTP: listed, looked at, listened to, changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST, Answer, ask, scope_of
from starlette.types import Message

from audio_server.clips.errors import ClipError, ClipsFixed, ClipTooLarge, NoSuchClip
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.repository import open_repository
from audio_server.web.api.bodies import SILENT_S
from audio_server.wire.audio import SILENCE

PACKETS = {"00-home.opus": 50, "01-bell.opus": 100}


def sound(packets: int) -> bytes:
    return opus_bytes([SILENCE] * packets)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, packets in PACKETS.items():
        (folder / name).write_bytes(sound(packets))
    async with an_api(await open_repository(folder, tmp_path / "cache")) as made:
        yield made


def titles(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [clip["title"] for clip in answer.json["clips"]]


async def test_clips_are_listed_by_mode(api: Api) -> None:
    listed = await api.get("/api/clips")
    assert [clip["mode"] for clip in listed["clips"]] == [0, 1]
    second = listed["clips"][1]
    assert (second["file"], second["name"], second["title"]) == ("01-bell.opus", "01-bell", "bell")
    assert (second["seconds"], second["source"]["passed_through"]) == (2.0, True)
    assert listed["fixed_because"] is None


async def test_clips_are_added_replaced_ordered_and_removed(api: Api) -> None:
    data = sound(150)
    added = await api.ask("POST", "/api/clips?name=new%20song.opus", [data[:99], data[99:]])
    assert titles(added) == ["home", "bell", "new song"]
    assert [clip.packets for clip in api.devices.clips] == [50, 100, 150]
    replaced = await api.ask("PUT", "/api/clips/home", sound(25))
    assert titles(replaced) == ["home", "bell", "new song"]
    assert [clip.packets for clip in api.devices.clips] == [25, 100, 150]
    names = {"names": ["new song", "01-bell", "00-home.opus"]}
    ordered = await api.ask("PUT", "/api/clips/order", names)
    assert titles(ordered) == ["new song", "bell", "home"]
    removed = await api.ask("DELETE", "/api/clips/new%20song")
    assert titles(removed) == ["bell", "home"]
    assert [clip.packets for clip in api.devices.clips] == [100, 25]


async def test_a_clip_is_renamed(api: Api) -> None:
    renamed = await api.ask("PATCH", "/api/clips/bell", {"title": "Front door"})
    assert titles(renamed) == ["home", "Front door"]
    assert [clip["file"] for clip in renamed.json["clips"]] == [
        "00-home.opus",
        "01-Front door.opus",
    ]
    assert [clip.packets for clip in api.devices.clips] == [50, 100]
    assert titles(await api.ask("PATCH", "/api/clips/00-home", {"title": "99 balloons"})) == [
        "99 balloons",
        "Front door",
    ]
    for title, reason in (("a/b", "separates folders"), ("a\x00", "control"), (" ", "seen")):
        refused = await api.ask("PATCH", "/api/clips/0", {"title": title})
        assert refused.status in (404, 422)
        refused = await api.ask("PATCH", "/api/clips/Front%20door", {"title": title})
        assert (refused.status, reason in refused.json["error"]) == (422, True), refused.text
    assert (await api.ask("PATCH", "/api/clips/none", {"title": "x"})).status == 404


async def test_the_folder_is_read_anew(api: Api) -> None:
    (api.context.repository.folder / "02-note.opus").write_bytes(sound(10))
    assert titles(await api.ask("POST", "/api/clips/reload")) == ["home", "bell", "note"]
    (api.context.repository.folder / "03-bad.opus").write_bytes(b"no sound")
    bad = await api.ask("POST", "/api/clips/reload")
    assert (bad.status, "03-bad.opus" in bad.json["error"]) == (422, True)
    assert titles(await api.ask("GET", "/api/clips")) == ["home", "bell", "note"]


async def test_a_clip_is_seen_and_heard(api: Api) -> None:
    assert (await api.get("/api/clips/bell/waveform?points=20"))["peaks"] == [0.0] * 20
    assert len((await api.get("/api/clips/bell/waveform"))["peaks"]) == 400
    heard = await api.ask("GET", "/api/clips/bell/sound")
    assert (heard.headers["content-type"], heard.body[:4]) == ("audio/ogg", b"OggS")
    for points in ("0", "4001", "many", "1.5"):
        wrong = await api.ask("GET", f"/api/clips/bell/waveform?points={points}")
        assert (wrong.status, "points has to be" in wrong.json["error"]) == (400, True)


@pytest.mark.parametrize(
    ("wanted", "status", "start", "stop"),
    [
        ("bytes=0-", 206, 0, None),
        ("bytes=0-1", 206, 0, 2),
        ("bytes=4-9999999", 206, 4, None),
        ("bytes=-5", 206, -5, None),
        ("bytes=-9999999", 206, 0, None),
        ("bytes=0-1, 4-5", 200, 0, None),
        ("bytes=-", 200, 0, None),
        ("seconds=1-2", 200, 0, None),
        (f"bytes={'9' * 5000}-", 200, 0, None),
        ("bytes=\xb2-", 200, 0, None),
    ],
)
async def test_a_player_gets_the_part_that_it_wants(
    api: Api, wanted: str, status: int, start: int, stop: int | None
) -> None:
    whole = (await api.ask("GET", "/api/clips/bell/sound")).body
    part = await api.ask("GET", "/api/clips/bell/sound", range=wanted)
    assert (part.status, part.body) == (status, whole[start:stop])
    assert part.headers["accept-ranges"] == "bytes"
    if status == 206:
        first = start % len(whole)
        span = f"bytes {first}-{first + len(part.body) - 1}/{len(whole)}"
        assert part.headers["content-range"] == span


@pytest.mark.parametrize("wanted", ["bytes=9999999-", "bytes=5-4", "bytes=-0"])
async def test_a_part_that_is_not_there(api: Api, wanted: str) -> None:
    whole = await api.ask("GET", "/api/clips/bell/sound")
    answer = await api.ask("GET", "/api/clips/bell/sound", range=wanted)
    assert (answer.status, "bytes" in answer.json["error"]) == (416, True)
    assert answer.headers["content-range"] == f"bytes */{len(whole.body)}"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "reason"),
    [
        ("POST", "/api/clips?name=x.flac", b"no sound", 422, "x.flac: "),
        ("POST", "/api/clips?name=x.flac", b"", 422, "x.flac: is empty"),
        ("POST", "/api/clips?name=", b"no sound", 422, "is no name for a file"),
        ("POST", "/api/clips", b"no sound", 400, "name is missing"),
        ("POST", "/api/clips?name=a&title=b", b"no sound", 400, "title is unknown"),
        ("PUT", "/api/clips/bell", b"no sound", 422, "bell: "),
        ("PUT", "/api/clips/nothing", b"no sound", 404, "nothing: there is no such clip"),
        ("DELETE", "/api/clips/nothing", b"", 404, "nothing: there is no such clip"),
        ("GET", "/api/clips/nothing/sound", b"", 404, "nothing: there is no such clip"),
        ("GET", "/api/clips/nothing/waveform", b"", 404, "nothing: there is no such clip"),
        ("PUT", "/api/clips/order", {"names": ["bell"]}, 422, ""),
        ("PUT", "/api/clips/order", {"names": ["bell", "bell"]}, 422, ""),
        ("PUT", "/api/clips/order", {"names": ["bell", "nothing"]}, 404, "no such clip"),
        ("PUT", "/api/clips/order", {"names": []}, 422, "names has to have at least 1 entries"),
    ],
)
async def test_what_is_wrong_changes_nothing(
    api: Api, method: str, path: str, body: Any, status: int, reason: str
) -> None:
    before = {path.name for path in api.context.repository.folder.iterdir()}
    answer = await api.ask(method, path, body)
    assert (answer.status, reason in answer.json["error"]) == (status, True), answer.text
    assert {path.name for path in api.context.repository.folder.iterdir()} == before
    assert [clip.packets for clip in api.devices.clips] == [50, 100]


async def test_a_form_is_no_file(api: Api) -> None:
    form = {"content_type": "multipart/form-data; boundary=x"}
    answer = await api.ask("POST", "/api/clips?name=x.flac", b"--x\r\n", **form)
    assert (answer.status, "the file itself" in answer.json["error"]) == (415, True)


async def test_a_file_that_is_too_large_is_taken_to_its_end(api: Api) -> None:
    """Who is sending would not hear the answer otherwise."""
    api.context.repository.max_bytes = 100
    answer = await api.ask("POST", "/api/clips?name=x.flac", [b"x" * 60] * 50)
    assert answer.status == 413


async def test_a_file_that_stops_coming_is_no_clip(autojump_clock: Any, monkeypatch: Any) -> None:
    async def take(name: str, parts: AsyncIterator[bytes]) -> None:
        async for part in parts:
            assert part == b"some"

    async with an_api() as api:
        monkeypatch.setattr(api.context.repository, "upload", take)  # threads know no virtual time
        begun = trio.current_time()
        answer = await api.ask("POST", "/api/clips?name=x.flac", [b"some", b"some", b""])
        assert (answer.status, "nothing of the body came" in answer.json["error"]) == (408, True)
        assert trio.current_time() - begun == pytest.approx(SILENT_S, abs=0.1)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoSuchClip("a.opus", "is not there"), 404),
        (ClipTooLarge("a.opus", "is too large"), 413),
        (ClipsFixed("folder", "is fixed"), 403),
        (ClipError("a.opus", "is\nno sound"), 422),
    ],
)
async def test_what_is_wrong_with_clips_is_told(
    api: Api, monkeypatch: Any, error: ClipError, status: int
) -> None:
    async def fail() -> None:
        raise error

    monkeypatch.setattr(api.context.repository, "reload", fail)
    answer = await ask(api.app, "POST", "/api/clips/reload")
    assert (answer.status, answer.json["error"]) == (status, str(error))


async def test_whoever_hangs_up_while_sending_is_not_answered(api: Api) -> None:
    messages = [
        {"type": "http.request", "body": b"some", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = scope_of("POST", "/api/clips?name=x.flac", {"host": HOST}, "10.0.0.9")
    await api.app(scope, receive, send)
    assert sent == []
    assert [clip.packets for clip in api.devices.clips] == [50, 100]
