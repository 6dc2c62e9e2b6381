"""Whatever a peer says on the HTTP port: it is answered or closed, and logs no error."""

from __future__ import annotations

import gzip
import logging
import os
import random
from collections.abc import AsyncIterator, Callable

import pytest
from api_kit import an_api
from raw_pages import KEY, Raw, frame, raw_pages, upgrade
from structlog.testing import capture_logs

ROUNDS = int(os.environ.get("FUZZ_EXAMPLES", "150"))
HOST = b"host: localhost\r\n"

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
STOP = b'{"devices": "all"}'
POST = (
    b"POST /api/stop HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(STOP) + STOP
)
CHUNKED = (
    b"POST /api/stop HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n12;a=b\r\n" + STOP + b"\r\n0\r\nx: y\r\n\r\n"
)
WEBSOCKET = upgrade("/api/devices/changes")
HEAD = b"HEAD" + GET[3:]
SEEDS = [HEAD, GET, POST, CHUNKED, WEBSOCKET, WEBSOCKET + frame(b"hello"), GET + POST]

PIECES = [
    b"",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b" ",
    b":",
    b"%",
    b"%00",
    b"%ff",
    b"..",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.0",
    b"connection: close\r\n",
    b"connection: upgrade\r\n",
    b"upgrade: h2c\r\nhttp2-settings: AA\r\n",
    b"upgrade: websocket\r\n",
    b"expect: 100-continue\r\n",
    b"content-length: 5\r\n",
    b"content-length: -1\r\n",
    b"content-length: 99999999999999999999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip\r\n",
    b"content-encoding: gzip\r\n",
    b"range: bytes=0-1,2-3,5-\r\n",
    b"range: bytes=99999999999999999999-\r\n",
    b"cookie: a=\xff;;=\r\n",
    b"authorization: Bearer \xff\r\n",
    b"origin: null\r\n",
    b"host: [::\r\n",
    b"a" * 9000,
    b"x: " + b"y" * 9000 + b"\r\n",
    b"x: y\r\n" * 500,
    b"ffffffffffffffff\r\n",
    b"\x16\x03\x01\x02\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x88\x80\0\0\0\0",
    b"\x81\xff",
    frame(b"x" * 300, fin=False),
]


@pytest.fixture
async def raw(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Raw]:
    """Pages with all their routes. In the end nothing may have been logged as an error."""
    with capture_logs() as logs:
        async with an_api() as api, raw_pages(api.app) as pages:
            yield pages
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def still_answers(raw: Raw) -> bool:
    answer = await raw.exchange(b"GET /readyz HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n")
    return answer.startswith(b"HTTP/1.1 503")  # "starting": nobody has said that it is ready


def noise(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randint(1, 3000))


def mutated(dice: random.Random) -> bytes:
    """A request that is changed in some places."""
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 4)):
        at, cut = dice.randrange(len(data) + 1), dice.randint(0, 3)
        data[at : at + cut] = dice.choice(PIECES)
    return bytes(data)


def with_lines(dice: random.Random) -> bytes:
    """A request with more headers, each whole."""
    head, _, rest = dice.choice(SEEDS).partition(b"\r\n")
    lines = [piece for piece in PIECES if piece.endswith(b"\r\n") and b":" in piece]
    return head + b"\r\n" + b"".join(dice.sample(lines, 3)) + rest


def cut(dice: random.Random) -> bytes:
    data = dice.choice(SEEDS)
    return data[: dice.randrange(len(data))]


def frames(dice: random.Random) -> bytes:
    """A WebSocket with frames that may be anything."""
    said = b"".join(
        frame(
            dice.randbytes(dice.choice((0, 1, 2, 125, 126, 5000))),
            dice.randrange(16),
            fin=dice.random() < 0.7,
            rsv=dice.choice((0, 0, 0, 1, 4)),
        )
        for _ in range(dice.randint(1, 6))
    )
    return WEBSOCKET + said[: dice.randint(1, len(said))]


@pytest.mark.parametrize("make", [noise, mutated, with_lines, cut, frames])
async def test_nothing_that_is_said_makes_an_error(
    make: Callable[[random.Random], bytes], raw: Raw
) -> None:
    for number in range(ROUNDS):
        dice = random.Random(f"{make.__name__} {number}")
        said = make(dice)
        at = dice.randrange(len(said) + 1)
        await raw.exchange(said[:at], said[at:], within_s=0.3)  # it may have asked for events
    assert await still_answers(raw)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50), 505),
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"x: " + b"y" * 70_000, 431),
        (b"GET /" + b"a" * 70_000, 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"content-length: x\r\n\r\n", 400),
        (b"head / HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n", 405),
        (b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n", 404),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n", 404),
    ],
    ids=lambda value: repr(value)[:30],
)
async def test_what_is_no_request_is_answered_in_our_words(
    said: bytes, status: int, raw: Raw
) -> None:
    answer = await raw.exchange(said, closes=False)
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert len(text.splitlines()) == 1
    assert not any(
        name in text.lower() for name in (b"h11", b"starlette", b"not found", b"illegal")
    )


@pytest.mark.parametrize(
    "said",
    [
        HEAD.replace(b"HTTP/1.1", b"HTTP/2.0"),
        HEAD.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\nx\r\n"),
        HEAD.replace(b"HEAD / ", b"HEAD /nothing "),
        HEAD.replace(b"HEAD / ", b"HEAD /api/clips/bell/sound "),
    ],
)
async def test_an_answer_to_head_has_no_body(said: bytes, raw: Raw) -> None:
    said = said.replace(HOST, HOST + b"connection: close\r\n")
    answer = await raw.exchange(said, closes=False)
    assert answer.startswith(b"HTTP/1.1 ")
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("path", [b"/nothing", b"/api/stop", b"/"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_body_that_breaks_gets_one_whole_answer(
    path: bytes, at_once: bool, raw: Raw
) -> None:
    """The page's own answer, or 400: the two are decided at the same time, so it is tried often."""
    head = CHUNKED.partition(b"\r\n\r\n")[0].replace(b"/api/stop", path) + b"\r\n\r\n"
    parts = [head + b"x\r\n"] if at_once else [head, b"x\r\n"]
    for _ in range(20):
        answer = await raw.exchange(*parts, closes=False)
        top, _, body = answer.partition(b"\r\n\r\n")
        assert top.startswith(b"HTTP/1.1 ")
        assert b"content-length: %d" % len(body) in top.lower()


@pytest.mark.parametrize(
    "more",
    ["sec-websocket-extensions: \xff\r\n", f"sec-websocket-key: {KEY}\r\n", "origin: \xff\r\n"],
)
async def test_a_websocket_with_odd_headers_makes_no_error(more: str, raw: Raw) -> None:
    await raw.exchange(upgrade("/api/devices/changes", more) + frame(b"hello"))


async def test_a_body_that_is_packed_is_refused(raw: Raw) -> None:
    body = gzip.compress(STOP)
    said = (
        b"POST /api/stop HTTP/1.1\r\n" + HOST + b"content-type: application/json\r\n"
        b"content-encoding: gzip\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    assert (await raw.exchange(said + body, closes=False)).startswith(b"HTTP/1.1 415")
