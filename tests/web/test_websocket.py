"""WebSockets: what a client can have the server do, and when it is given up."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import trio
from raw_pages import Raw, deflated, frame, raw_pages, upgrade
from starlette.websockets import WebSocket
from structlog.testing import capture_logs

from audio_server.web import websocket
from audio_server.web.connection import MESSAGE_MAX_BYTES
from audio_server.web.edge import Edge
from audio_server.web.websocket import FRAMES

SWITCHED = b"HTTP/1.1 101"
DEFLATE = "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Sends back what comes; at `/no` nobody is let in."""
    socket = WebSocket(scope, receive, send)
    if scope["path"] == "/no":
        await socket.close()
        return
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    with capture_logs() as logs:
        async with raw_pages(Edge(app)) as pages:
            yield pages
    assert logs == []


def closing(code: int) -> bytes:
    return b"\x88\x02" + struct.pack(">H", code)


async def test_what_is_said_is_heard(raw: Raw) -> None:
    answer = await raw.exchange(upgrade(), frame(b"hello"), closes=False, until=b"hello")
    assert answer.startswith(SWITCHED)
    assert answer.endswith(b"\r\n\r\n\x81\x05hello")


async def test_no_extension_is_agreed_on(raw: Raw) -> None:
    answer = await raw.exchange(upgrade(more=DEFLATE), closes=False, until=b"\r\n\r\n")
    assert answer.startswith(SWITCHED)
    assert b"extensions" not in answer.lower()


@pytest.mark.parametrize("mib", [0, 64])
async def test_what_is_packed_all_the_same_is_not_unpacked(mib: int, raw: Raw) -> None:
    packed = frame(deflated(bytes(mib << 20) or b"x"), rsv=4)
    answer = await raw.exchange(upgrade(more=DEFLATE), packed, closes=False)
    assert answer.endswith(closing(1002))


@pytest.mark.parametrize("fin", [True, False])
async def test_what_comes_before_the_answer_is_heard_after_it(fin: bool, raw: Raw) -> None:
    """A client should wait, but one that does not harms nobody."""
    parts = frame(b"hel", fin=fin) + (b"" if fin else frame(b"lo", 0))
    expected = b"\x81\x03hel" if fin else b"\x81\x05hello"
    answer = await raw.exchange(upgrade() + parts, closes=False, until=expected)
    assert answer.startswith(SWITCHED)
    assert answer.endswith(expected)


async def test_what_comes_with_a_request_that_is_refused_is_dropped(raw: Raw) -> None:
    answer = await raw.exchange(upgrade("/no") + 99 * frame(b"hello"))
    assert answer.startswith(b"HTTP/1.1 403")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([frame(bytes(MESSAGE_MAX_BYTES + 1))], 1009),
        ([frame(b"x" * 100, fin=False), *[frame(b"x" * 100, 0, fin=False)] * 50], 1009),
        ([b"\x81\xff" + struct.pack(">Q", 2**62) + bytes(4) + bytes(65536)], 1009),
        ([b"\x81\xff" + struct.pack(">Q", 2**63) + bytes(4)], 1002),
        ([frame(b"", fin=False), frame(b"", 0, fin=False) * (3 * FRAMES[0])], 1008),
        ([frame(b"", 10) * (3 * FRAMES[0])], 1008),
        ([b"\x89\xfe" + struct.pack(">H", 126) + bytes(130)], 1002),
        ([frame(b"x", 9, fin=False)], 1002),
        ([b"\x81\x05hello"], 1002),
        ([frame(b"x", 3)], 1002),
        ([frame(b"x", rsv=1)], 1002),
        ([frame(b"x", 0)], 1002),
        ([frame(b"\xff")], 1007),
        ([frame(b"x", 8)], 1002),
        ([frame(struct.pack(">H", 1005), 8)], 1002),
        ([frame(b"\x03\xe8\xff", 8)], 1007),
    ],
    ids=lambda value: repr(value)[:24],
)
async def test_what_is_wrong_or_too_much_ends_it(parts: list[bytes], code: int, raw: Raw) -> None:
    answer = await raw.exchange(upgrade(), *parts, closes=False)
    assert answer.startswith(SWITCHED)
    assert closing(code) in answer[-300:]


async def test_a_client_that_pings_without_end_is_ended(raw: Raw) -> None:
    answer = await raw.exchange(upgrade(), frame(b"", 9) * (3 * FRAMES[0]), closes=False)
    assert answer.count(b"\x8a\x00") < 2 * FRAMES[0]


async def test_nothing_is_left_once_it_is_closed(raw: Raw) -> None:
    await raw.exchange(upgrade(), frame(struct.pack(">H", 1000), 8))
    for _ in range(200):
        names = [task.name for task in tasks_of(trio.lowlevel.current_root_task())]
        if not (left := [name for name in names if "_send_pings" in name]):
            break
        await trio.sleep(0.01)
    assert left == []


def tasks_of(task: trio.lowlevel.Task | None) -> Iterator[trio.lowlevel.Task]:
    """A task and all below it."""
    assert task is not None
    yield task
    for nursery in task.child_nurseries:
        for child in nursery.child_tasks:
            yield from tasks_of(child)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (upgrade(key="short"), 400),
        (upgrade(key="\xff" * 24), 400),
        (upgrade().replace(b"13", b"8"), 400),
        (upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
        (upgrade().replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
        (upgrade(more="content-length: 5\r\n") + b"hello", 400),
        (upgrade(more="transfer-encoding: chunked\r\n") + b"0\r\n\r\n", 400),
        (upgrade(more="sec-websocket-protocol: \xff\xfe\r\n"), 400),
        (upgrade(more="sec-websocket-key: \r\n"), 400),
        (upgrade(more="connection: close\r\n"), 400),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_request_that_is_none_for_a_websocket_is_refused(
    request_: bytes, status: int, raw: Raw
) -> None:
    answer = await raw.exchange(request_)
    assert answer.startswith(b"HTTP/1.1 %d" % status)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_client_that_answers_no_ping_is_gone(
    answers: bool, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "PING_S", 0.05)
    monkeypatch.setattr(websocket, "ANSWER_S", 0.1)
    async with await raw.connect() as stream:
        await stream.send_all(upgrade())
        heard, start = b"", trio.current_time()
        with trio.move_on_after(0.6):
            while part := await stream.receive_some():
                heard += part
                if answers and b"\x89\x00" in part:
                    await stream.send_all(frame(b"", 10))
        is_open = trio.current_time() - start > 0.55
    assert is_open is answers
    assert closing(1001) not in heard if answers else heard.endswith(closing(1001))
