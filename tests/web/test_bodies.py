"""Bodies of requests: bounded one by one and in all, and what is wrong in words of our own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
import trio
from asgi import ask
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import ASGIApp
from trio.testing import MockClock

from audio_server.web.api import models
from audio_server.web.api.bodies import (
    ALL_MAX_BYTES,
    ENTRIES_MAX,
    FREE_BYTES,
    PARTS_MIN,
    BodyRoom,
)
from audio_server.web.api.operation import ApiRequest, Operation
from audio_server.web.api.resource import Resource
from audio_server.web.api.wording import in_words

LARGE = 8 << 20
MINE = ("Object ", "Expected ", "`", "malformed", "codec", "msgspec", "enum", "str")


async def stop(asked: ApiRequest) -> models.Outcomes:
    """Do nothing."""
    return models.Outcomes(0, [], {})


def app(room: BodyRoom, max_bytes: int = LARGE) -> ASGIApp:
    one = Operation(
        "POST", "/", models.Outcomes, body=models.Stop, json_max_bytes=max_bytes, does=stop
    )
    return Resource({"POST": one}, room)


async def post(room: BodyRoom, *parts: bytes, max_bytes: int = LARGE, **headers: str) -> Any:
    head = {"content_type": "application/json", **headers}
    return await ask(app(room, max_bytes), "POST", "/", list(parts), **head)


async def test_large_bodies_share_their_room(autojump_clock: MockClock) -> None:
    room, statuses = BodyRoom(), []
    part = bytes(LARGE // 2)

    async def send(*parts: bytes) -> None:
        statuses.append((await post(room, *parts)).status)

    async with trio.open_nursery() as nursery:
        for _ in range(60):  # each stops before its end
            nursery.start_soon(send, part, b"")
        await trio.sleep(1)
        assert room.taken_bytes <= ALL_MAX_BYTES
        small = json.dumps({"devices": ["x" * 60] * 100}).encode()
        assert (await post(room, small)).status == 200
        refused = await post(room, bytes(2 * FREE_BYTES + ALL_MAX_BYTES // 4), max_bytes=1 << 30)
        assert (refused.status, "try again" in refused.json["error"]) == (503, True)
    assert sorted(set(statuses)) == [408, 503]
    assert statuses.count(408) == ALL_MAX_BYTES // (LARGE // 2)
    assert room.taken_bytes == 0


async def test_a_body_that_comes_in_crumbs_is_refused() -> None:
    answer = await post(BodyRoom(), *[b" "] * (2 * PARTS_MIN))
    assert (answer.status, "small parts" in answer.json["error"]) == (413, True)
    assert (await post(BodyRoom(), *[b" "] * 900, b'{"devices": "all"}')).status == 200


async def test_values_are_counted_before_they_are_unpacked() -> None:
    body = b'{"devices": [%s""]}' % (b'"",' * (ENTRIES_MAX + 1))
    answer = await post(BodyRoom(), body)
    assert (answer.status, "values" in answer.json["error"]) == (413, True)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_what_is_packed_is_refused(coding: str) -> None:
    body = b'{"devices": "all"}'
    assert (await post(BodyRoom(), body, content_encoding=coding)).status == 415
    assert (await post(BodyRoom(), body, content_encoding="Identity")).status == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
KINDS = [models.Press, models.Rename, models.Play, models.Stop, models.Order, models.Points]


@pytest.mark.parametrize("kind", KINDS)
@given(value=JSON | st.dictionaries(st.sampled_from(["devices", "button", "clip", "name"]), JSON))
def test_no_word_of_a_library_is_said(kind: type, value: Any) -> None:
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=kind)
    except msgspec.ValidationError as error:
        own = str(value)
        said = in_words(error, "the body")
        assert not [word for word in MINE if word in said and word not in own], said
        assert said.isprintable()
        assert len(said) < 300


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (models.Rename, {"name": 1}, "name has to be text or null, not a whole number"),
        (models.Points, {"points": 0}, "points has to be at least 1"),
        (models.Points, {"points": "x"}, "points has to be a whole number, not text"),
        (models.Points, {"points": "9" * 30}, "points has to be at most 4000"),
        (models.Order, {"names": ["a", []]}, "names[1] has to be text, not a list"),
        (models.Press, {"b\x1b": 1}, "b? is unknown"),
        (models.Press, {"b" * 99: 1}, f"{'b' * 64}… is unknown"),
    ],
)
def test_what_is_wrong_is_said(kind: type, value: Any, said: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(value, kind, strict=False)
    assert in_words(error.value, "the parameters") == said
