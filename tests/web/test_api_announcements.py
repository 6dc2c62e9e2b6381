"""Announcements over HTTP: their sound, the order, and what has become of each."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from api_kit import Api, an_api
from asgi import HOST, Answer
from trio.testing import MockClock

from audio_server.clips.ogg import opus_bytes
from audio_server.clips.sounds import chime_packets
from audio_server.clips.speech import TEXT_MAX
from audio_server.device.behaviour import Action, Button
from audio_server.settings import Settings
from audio_server.web.api import announcements
from audio_server.wire.audio import SILENCE

OURS = {"origin": f"http://{HOST}"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with an_api() as made:
        yield made


async def announce(api: Api, **body: Any) -> Answer:
    return await api.ask("POST", "/api/announce", {"devices": "all"} | body, **OURS)


async def test_a_clip_is_announced_and_the_answer_tells_of_each_device(
    api: Api, autojump_clock: MockClock
) -> None:
    with api.connected("a") as events, api.connected("b", 2) as other:
        await events.press(Button.PLAY, Action.PRESS)
        made = await announce(api, devices=["a", "b", "nobody"], clip="rain")
        assert made.status == 200, made.text
        assert (made.json["done"], made.json["gone"], made.json["failed"]) == (2, ["nobody"], {})
        assert made.json["seconds"] == 2.0
        where = f"/api/announcements/{made.json['id']}"
        now = await api.get(where)
        assert (now["over"], now["sound"]) == (False, "rain")
        assert now["devices"]["a"] == {"hearing": "playing", "reason": None}
        await other.press(Button.STOP, Action.PRESS)
        began = trio.current_time()
        end = await api.get(f"{where}?wait_s=25")
        assert 2.0 <= trio.current_time() - began <= 3.0
        assert end["over"] is True
        assert end["devices"] == {
            "a": {"hearing": "heard", "reason": None},
            "b": {"hearing": "cut", "reason": "Stop was pressed"},
            "nobody": {"hearing": "not_connected", "reason": None},
        }


async def test_a_wait_ends_by_itself(api: Api, autojump_clock: MockClock) -> None:
    with api.connected("a"):
        made = await announce(api, clip="rain")
        began = trio.current_time()
        answer = await api.get(f"/api/announcements/{made.json['id']}?wait_s=0.6")
        assert trio.current_time() - began == pytest.approx(0.6)
        assert answer["over"] is False


async def test_a_chime_comes_first(api: Api) -> None:
    with api.connected("a"):
        made = await announce(api, clip="bell", chime=True)
        assert made.json["seconds"] == round((100 + len(chime_packets())) * 0.02, 3)
        assert api.devices.by_id["a"].source is not api.devices.clips[0]


async def test_a_group_hears_it_where_it_is_connected(api: Api) -> None:
    with api.connected("a"), api.connected("b", 2):
        await api.context.fleet.tag(["a", "away"], ["upstairs"], [])
        made = await announce(api, devices={"tag": "upstairs"}, clip="bell")
        assert (made.json["done"], made.json["gone"]) == (1, [])
        told = await api.get(f"/api/announcements/{made.json['id']}")
        assert told["devices"].keys() == {"a"}
        answer = await announce(api, devices={"tag": "nowhere"}, clip="bell")
        assert (answer.status, answer.json["error"]) == (404, "no device has the tag: nowhere")


async def test_priority_replaces_and_is_named(api: Api) -> None:
    with api.connected("a"):
        first = await announce(api, clip="bell")
        await announce(api, clip="rain", priority=9)
        told = await api.get(f"/api/announcements/{first.json['id']}")
        expected = {"hearing": "cut", "reason": "another announcement replaced it"}
        assert told["devices"]["a"] == expected


async def test_a_sound_is_sent_first(tmp_path: Path) -> None:
    async with an_api() as api:
        data = opus_bytes([SILENCE] * 30)
        of_group = await api.ask("POST", "/api/sounds?name=note.opus&group=x", data, **OURS)
        assert of_group.status == 400  # it is a clip of none
        sent = await api.ask("POST", "/api/sounds?name=note.opus", [data[:50], data[50:]], **OURS)
        assert (sent.status, sent.json["seconds"]) == (200, 0.6)
        with api.connected("a"):
            made = await announce(api, sound=sent.json["sound"])
            assert (made.status, made.json["done"]) == (200, 1)
            source = api.devices.by_id["a"].source
            assert source is not None
            assert (source.name, source.packets) == ("note", 30)
        assert [clip["title"] for clip in (await api.get("/api/clips"))["clips"]] == [
            "bell",
            "rain",
            "song",
        ]


@pytest.mark.parametrize(
    ("data", "status", "error"),
    [
        (b"", 422, "note: is empty"),
        (b"no sound " * 99, 422, "note: cannot be read as sound"),
        (opus_bytes([SILENCE] * 30_001), 413, "note: "),
    ],
)
async def test_a_file_without_usable_sound(api: Api, data: bytes, status: int, error: str) -> None:
    sent = await api.ask("POST", "/api/sounds?name=note.wav", data, **OURS)
    assert sent.status == status
    assert sent.json["error"].startswith(error)


async def test_sounds_are_few_and_kept_for_a_while(
    api: Api, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    sounds, clip = announcements.Sounds(), api.context.repository.clips[0]
    ids = [sounds.add(clip) for _ in range(announcements.SOUNDS_MAX + 1)]
    with pytest.raises(announcements.Problem, match="no such sound"):
        sounds.get(ids[0])
    assert sounds.get(ids[1]) is clip
    monkeypatch.setattr(announcements, "SOUNDS_MAX_BYTES", 3 * len(clip.frames))
    last = sounds.add(clip)
    assert len(sounds._sounds) == 3
    await trio.sleep(announcements.SOUND_KEPT_S)
    with pytest.raises(announcements.Problem, match="no such sound"):
        sounds.get(last)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 422, "give exactly one of clip, say and sound"),
        ({"clip": "bell", "say": "x"}, 422, "give exactly one of clip, say and sound"),
        ({"clip": "nonesuch"}, 404, "nonesuch: there is no such clip"),
        ({"sound": "nonesuch"}, 404, "there is no such sound: it is kept for 10 minutes"),
        ({"clip": "bell", "priority": 10}, 422, "priority has to be at most 9"),
        ({"clip": "bell", "priority": -1}, 422, "priority has to be at least 0"),
        ({"say": " \n\t"}, 422, "the text is empty"),
        ({"say": ""}, 422, "say has to have at least 1 characters"),
        ({"say": "x" * (TEXT_MAX + 1)}, 422, "say has to have at most 2000 characters"),
        ({"clip": "bell", "loud": True}, 422, "loud is unknown"),
    ],
)
async def test_orders_that_are_refused(
    api: Api, body: dict[str, Any], status: int, error: str
) -> None:
    with api.connected("a"):
        answer = await announce(api, **body)
        assert (answer.status, answer.json["error"]) == (status, error)
        assert not api.devices.by_id["a"].state.announcing


async def test_an_unknown_announcement(api: Api) -> None:
    answer = await api.ask("GET", "/api/announcements/nonesuch")
    assert (answer.status, answer.json["error"]) == (
        404,
        "there is no such announcement: the last 64 are known",
    )
    answer = await api.ask("GET", "/api/announcements/nonesuch?wait_s=26")
    assert answer.status == 400


# -- speech


def speaker(tmp_path: Path, code: str) -> Settings:
    script = tmp_path / "speak.py"
    script.write_text(code)
    return Settings(tts_command=f"{sys.executable} {script}")


async def test_text_is_spoken_by_the_operators_command(tmp_path: Path) -> None:
    sound = tmp_path / "sound.opus"
    sound.write_bytes(opus_bytes([SILENCE] * 20))
    code = f"import sys; sys.stdout.buffer.write(open({str(sound)!r}, 'rb').read())"
    async with an_api(settings=speaker(tmp_path, code)) as api:
        with api.connected("a"):
            made = await announce(api, say="Dinner is ready")
            assert (made.status, made.json["seconds"]) == (200, 0.4)
            told = await api.get(f"/api/announcements/{made.json['id']}")
            assert told["sound"] == "Dinner is ready"


@pytest.mark.parametrize(
    ("command", "status", "error"),
    [
        ("off", 503, "this server speaks no text: tts_command is off"),
        (
            "nonesuch-tts --stdin",
            503,
            "nonesuch-tts: cannot be run (No such file or directory); "
            "install it, or set tts_command",
        ),
        ("false", 422, "false: failed with status 1; the server's log has more"),
    ],
)
async def test_a_server_that_cannot_speak(command: str, status: int, error: str) -> None:
    async with an_api(settings=Settings(tts_command=command)) as api:
        with api.connected("a"):
            answer = await announce(api, say="x")
            assert (answer.status, answer.json["error"]) == (status, error)


async def test_few_texts_are_spoken_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "SPEAKERS_MAX", 0)
    async with an_api(settings=speaker(tmp_path, "")) as api:
        answer = await announce(api, say="x")
        assert answer.status == 503
        assert answer.json["error"].startswith("too many texts are being spoken")
