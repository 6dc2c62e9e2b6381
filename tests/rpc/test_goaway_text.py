"""Texts for peers are fixed phrases; a library's or a peer's own words are for the log alone."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote

import pytest
from http2_cases import CONNECTION_ERRORS
from hyperframe.frame import GoAwayFrame, HeadersFrame
from malformed import CASES
from raw_peer import RawPeer
from serving import echo, never, serving
from test_client import begin, calling, ends_with
from test_malformed import answer_to
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.rpc.log_text import MAX_CHARS

Logs = list[MutableMapping[str, Any]]

GOAWAY_TEXTS = {
    b"CONTINUATION without a header block",
    b"a GOAWAY on a stream",
    b"a flow-control window was exceeded",
    b"a frame inside a header block",
    b"a frame of a wrong size",
    b"a frame on a closed stream",
    b"a frame that HTTP/2 does not allow here",
    b"a header block that cannot be decoded",
    b"a header block without end",
    b"a header list that is too large",
    b"the first frame is not SETTINGS",
    b"a PUSH_PROMISE that was not allowed",
    b"not an HTTP/2 preface",
}

STATUS_TEXTS = {
    "a message cannot be decoded",
    "a message is compressed, but grpc-encoding is identity",
    "a message is larger than 65536 bytes",
    "a value of binary metadata is not base64",
    "content-type is not application/grpc",
    "grpc-encoding is not identity",
    "grpc-timeout is not valid",
    "no such method",
    "te is not trailers",
    "the method of a gRPC request is POST",
    "the scheme is not http or https",
    "the stream ended inside a message",
}


@pytest.mark.parametrize("case", CONNECTION_ERRORS)
async def test_a_goaway_says_a_fixed_phrase(autojump_clock: MockClock, case: str) -> None:
    _, send = CONNECTION_ERRORS[case]
    async with serving(echo) as served:
        await send(served.peer)
        assert (await served.peer.ended_with())[1] in GOAWAY_TEXTS


@pytest.mark.parametrize("case", CASES)
async def test_a_status_says_a_fixed_phrase(autojump_clock: MockClock, case: str) -> None:
    async with serving(echo) as served:
        await CASES[case](served.peer)
        if "status" in await answer_to(served.peer):
            text = served.peer.headers[1][-1].get("grpc-message")
            assert text is None or unquote(text) in STATUS_TEXTS


@pytest.mark.parametrize(
    "block",
    [
        b"\xff" + b"\x80" * 6 + b"\x00",
        b"\xff" + b"\x80" * 5000,
        b"\x40\x85\xff\xff\xff\xff\xff\x00",
        b"\xbf",
    ],
)
async def test_what_a_library_says_is_logged_in_a_short_and_printable_line(
    autojump_clock: MockClock, logs: Logs, block: bytes
) -> None:
    async with serving(echo) as served:
        await served.peer.send(HeadersFrame(1, data=block, flags=["END_HEADERS"]))
        code, text = await served.peer.ended_with()
        assert (code, text) == (9, b"a header block that cannot be decoded")
    (line,) = logs
    assert line["detail"].isprintable()
    assert 0 < len(line["detail"]) <= MAX_CHARS


async def test_what_a_peer_asked_for_is_logged_and_not_repeated_to_it(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async with serving(echo) as served:
        await served.peer.open(1, path="/\x1b[31m" + "x" * 3000, end=True)
        trailers = await served.peer.trailers(1)
    assert trailers["grpc-message"] == "no such method"
    assert logs[0]["detail"].startswith(r"/\x1b[31mxxx")
    assert len(logs[0]["detail"]) <= MAX_CHARS


ODD = b"\x1b]0;owned\x07\n" + b"\xff\x00" + b"m" * 10_000


async def say_goaway(peer: RawPeer, code: int) -> None:
    await peer.send(GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=code, additional_data=ODD))
    await wait_all_tasks_blocked()


def check_told(logs: Logs, code: str) -> None:
    (line,) = logs
    assert (line["event"], line["code"]) == ("peer sent GOAWAY", code)
    assert line["text"].startswith(r"\x1b]0;owned\x07\n\xff\x00mmm")
    assert line["text"].isprintable()
    assert len(line["text"]) <= MAX_CHARS


@pytest.mark.parametrize(("code", "name"), [(9, "COMPRESSION_ERROR"), (77, "77")])
async def test_a_clients_goaway_is_logged(
    autojump_clock: MockClock, logs: Logs, code: int, name: str
) -> None:
    async with serving(never) as served:
        await served.peer.open(1)
        await say_goaway(served.peer, code)
        await say_goaway(served.peer, code)
    check_told(logs, name)


async def test_a_clients_farewell_is_not_logged(autojump_clock: MockClock, logs: Logs) -> None:
    async with serving(never) as served:
        await say_goaway(served.peer, 0)
    assert logs == []


async def test_a_servers_goaway_is_logged_and_named_to_its_calls(
    autojump_clock: MockClock, logs: Logs
) -> None:
    async with calling() as (peer, channel), begin(channel) as call:
        await peer.send(GoAwayFrame(0, last_stream_id=0, error_code=11, additional_data=ODD))
        assert (await ends_with(call)).name == "UNAVAILABLE"
    check_told(logs, "ENHANCE_YOUR_CALM")


def test_no_phrase_tells_of_the_insides() -> None:
    for text in GOAWAY_TEXTS:
        assert not re.search(rb"0x|[<>{}\[\]]", text)
