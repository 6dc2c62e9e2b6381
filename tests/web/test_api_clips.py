"""Clips over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from api_kit import Api, an_api
from asgi import ask

from audio_server.clips.errors import ClipError, ClipsFixed, ClipTooLarge, NoSuchClip


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with an_api() as made:
        yield made


async def test_clips_are_listed_by_mode(api: Api) -> None:
    clips = (await api.get("/api/clips"))["clips"]
    assert [(clip["mode"], clip["title"]) for clip in clips] == [
        (0, "bell"),
        (1, "rain"),
        (2, "song"),
    ]
    assert clips[0]["file"] == "bell.opus"
    assert clips[0]["seconds"] == 2.0


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

    monkeypatch.setattr(api.house.shelf, "reload", fail)
    answer = await ask(api.app, "POST", "/api/clips/reload")
    assert (answer.status, answer.json["error"]) == (status, str(error))
