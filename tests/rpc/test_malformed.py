"""Requests that are not right: what is answered, beside what gRPC's C core answers.

The C core's answers were recorded from grpcio 1.85 and are asked for again here. A reset with
PROTOCOL_ERROR (1) or INTERNAL_ERROR (2) is INTERNAL to a gRPC client ("HTTP2 error codes"), so
`reset 1`, `reset 2` and `status 13` are the same status. Where we differ a document says so:

- RFC 9113 sections 8.1.1 to 8.3: repeated, misplaced and unknown pseudo-headers, uppercase and
  connection headers, control characters and trailers without an end are malformed;
- "gRPC over HTTP2": 415 for another content-type, 8 digits of timeout, :authority is optional;
- "gRPC Compression": an unknown encoding is UNIMPLEMENTED;
- section 5.1 of RFC 9113: DATA after the end is STREAM_CLOSED (5).

A truncated message is INTERNAL, as all gRPC libraries tell their users of it but the C core's
streaming server, which takes it for the end.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import trio
from core_process import open_core_server
from hyperframe.frame import GoAwayFrame, HeadersFrame, RstStreamFrame
from malformed import CASES
from offending import beside_a_healthy_device
from raw_peer import Closed, RawPeer
from serving import echo, serving
from trio.testing import MockClock

# Name of the case: our answer, the C core's.
ANSWERS = {
    "no :method": ("reset 1", "reset 2"),
    "no :scheme": ("reset 1", "reset 2"),
    "no :path": ("reset 1", "reset 2"),
    "no :authority": ("status 0", "reset 2"),
    "empty :path": ("reset 1", "status 1"),
    ":path without a slash": ("status 12", "status 12"),
    ":method GET": ("405, status 13", "reset 2"),
    ":method PUT": ("405, status 13", "reset 2"),
    ":scheme odd": ("status 13", "status 13"),
    "two :path": ("reset 1", "status 0"),
    "two :method": ("reset 1", "status 0"),
    "unknown pseudo-header": ("reset 1", "status 13"),
    "response pseudo-header": ("reset 1", "status 0"),
    "informational pseudo-header": ("reset 1", "status 0"),
    "pseudo-header after others": ("reset 1", "status 0"),
    "uppercase name": ("reset 1", "status 13"),
    "name with a space": ("reset 1", "status 13"),
    "empty name": ("reset 1", "status 13"),
    "connection header": ("reset 1", "status 0"),
    "transfer-encoding": ("reset 1", "status 0"),
    "value beyond ASCII": ("status 0", "status 0"),
    "value with a newline": ("reset 1", "status 0"),
    "value with NUL": ("reset 1", "status 0"),
    "bad base64": ("status 13", "status 13"),
    "base64 of no alphabet": ("status 13", "status 13"),
    "no content-type": ("415, status 2", "status 0"),
    "content-type text": ("415, status 2", "status 0"),
    "content-type json": ("status 0", "status 0"),
    "content-type grpc-web": ("415, status 2", "status 0"),
    "no te": ("status 13", "reset 2"),
    "te gzip": ("status 13", "status 13"),
    "content-length wrong": ("status 0", "status 0"),
    "content-length absurd": ("status 0", "status 0"),
    "timeout without unit": ("status 13", "status 13"),
    "timeout without number": ("status 13", "status 13"),
    "timeout negative": ("status 13", "status 13"),
    "timeout too long": ("status 13", "status 0"),
    "timeout of no sense": ("status 13", "status 13"),
    "unknown encoding": ("status 12", "status 13"),
    "unknown encoding, compressed": ("status 12", "status 13"),
    "compressed without encoding": ("status 13", "status 13"),
    "compressed flag of 2": ("status 13", "status 0"),
    "truncated message": ("status 13", "status 0"),
    "truncated prefix": ("status 13", "status 0"),
    "undecodable message": ("status 13", "status 13"),
    "message too large": ("status 8", "status 8"),
    "unknown method": ("status 12", "status 12"),
    "unknown service": ("status 12", "status 12"),
    "trailers without end": ("reset 1", "status 14"),
    "DATA after the end": ("reset 5", "status 0"),
}


async def answer_to(peer: RawPeer) -> str:
    """How stream 1 ends."""
    while True:
        while peer.frames:
            frame = peer.frames.popleft()
            if isinstance(frame, GoAwayFrame):
                return f"goaway {frame.error_code}"
            if isinstance(frame, RstStreamFrame):
                return f"reset {frame.error_code}"
            if isinstance(frame, HeadersFrame) and "grpc-status" in peer.headers[1][-1]:
                first, last = peer.headers[1][0], peer.headers[1][-1]
                http = "" if first[":status"] == "200" else f"{first[':status']}, "
                return f"{http}status {last['grpc-status']}"
        try:
            await peer.read()
        except Closed:
            return "closed"


@pytest.mark.parametrize("case", CASES)
async def test_it_is_answered_on_its_stream_alone(
    autojump_clock: MockClock, logs: list[MutableMapping[str, Any]], case: str
) -> None:
    async with beside_a_healthy_device(echo) as served:
        start = trio.current_time()
        await CASES[case](served.peer)
        assert await answer_to(served.peer) == ANSWERS[case][0]
        assert trio.current_time() - start < 1
        await served.peer.open(3, end=True)
        assert await served.peer.status(3) == 0
    assert len(logs) <= 1


async def test_a_reason_is_logged_once_however_often_it_is_given(
    autojump_clock: MockClock, logs: list[MutableMapping[str, Any]]
) -> None:
    async with serving(echo) as served:
        for stream_id in range(1, 201, 4):
            await served.peer.open(stream_id, path="/x", end=True)
            await served.peer.open(stream_id + 2, te=None, end=True)
        await served.peer.quiet()
    assert len(logs) == 2


async def test_reasons_that_are_ever_new_are_not_logged_for_ever(
    autojump_clock: MockClock, logs: list[MutableMapping[str, Any]]
) -> None:
    async with serving(echo) as served:
        for stream_id in range(1, 201, 2):
            await served.peer.open(stream_id, path=f"/{stream_id}" + "x" * 5000, end=True)
        await served.peer.quiet()
    assert len(logs) <= 16
    assert max(len(str(line)) for line in logs) < 500


@pytest.fixture
def core_port() -> Iterator[int]:
    """The same service on grpcio."""
    with open_core_server() as port:
        yield port


async def test_the_c_core_answers_as_it_was_recorded(core_port: int) -> None:
    """On a real socket, all cases at once: it holds back its answers to bad requests."""
    answers: dict[str, str] = {}

    async def ask(case: str) -> None:
        transport = await trio.open_tcp_stream("127.0.0.1", core_port)
        async with transport:
            peer = RawPeer(transport)
            await peer.greet()
            await CASES[case](peer)
            answers[case] = await answer_to(peer)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for case in CASES:
                nursery.start_soon(ask, case)
    assert answers == {case: core for case, (_, core) in ANSWERS.items()}
