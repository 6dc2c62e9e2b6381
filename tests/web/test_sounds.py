"""Clips that are listened to: one file for all who listen, and a bound for all files."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from api_kit import CLIPS, PACKET
from asgi import HOST, scope_of
from repositories import shelf_of
from starlette.requests import Request
from starlette.types import Message

from audio_server.clips.clip import Clip
from audio_server.web.api import sounds
from audio_server.web.api.operation import Problem
from audio_server.web.api.sounds import PART_BYTES, Sounds, answer_part


class Slow:
    """Somebody who takes one part and no more."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.has_part = trio.Event()

    async def send(self, message: Message) -> None:
        if message.get("body"):
            self.parts.append(message["body"])
            self.has_part.set()
            await trio.sleep_forever()


async def test_forty_who_read_slowly_share_one_file() -> None:
    long = Clip.from_packets("long", [PACKET + bytes(300)] * 2000)
    shared, clips, slow = Sounds(), shelf_of([long]), [Slow() for _ in range(40)]
    scope = scope_of("GET", "/", {"host": HOST}, "10.0.0.9")

    async def listen(one: Slow) -> None:
        answer = answer_part(Request(scope), await shared.of(clips, "long"), "audio/ogg")
        await answer(scope, trio.sleep_forever, one.send)

    async with trio.open_nursery() as nursery:
        for one in slow:
            nursery.start_soon(listen, one)
        with trio.fail_after(30):  # a thread makes the file
            for one in slow:
                await one.has_part.wait()
        assert {len(one.parts[0]) for one in slow} == {PART_BYTES}
        assert [await shared.of(clips, "long") is await shared.of(clips, "long")] == [True]
        assert len(shared._made) == 1
        nursery.cancel_scope.cancel()
    assert len(shared._made) == 0


async def test_files_of_many_clips_have_a_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, clips = Sounds(), shelf_of(CLIPS)
    held: Any = [await shared.of(clips, "bell")]
    monkeypatch.setattr(sounds, "SOUNDS_MAX_BYTES", len(held[0].data) + len(CLIPS[1].frames))
    held.append(await shared.of(clips, "rain"))
    with pytest.raises(Problem, match="try again"):
        await shared.of(clips, "song")
    assert await shared.of(clips, "rain") is held[1]
    held.clear()
    assert (await shared.of(clips, "song")).data.startswith(b"OggS")


async def test_so_many_listen_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sounds, "LISTENERS_MAX", 2)
    shared, clips = Sounds(), shelf_of(CLIPS)
    scope = scope_of("GET", "/", {"host": HOST}, "10.0.0.9")

    async def listen() -> None:
        answer = answer_part(Request(scope), await shared.of(clips, "bell"), "audio/ogg")
        await answer(scope, trio.sleep_forever, Slow().send)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked(0.05)
        with pytest.raises(Problem, match="try again"):
            await shared.of(clips, "bell")
        nursery.cancel_scope.cancel()
    assert (await shared.of(clips, "bell")).data
