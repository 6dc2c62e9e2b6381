"""Connections to the pages: bounded, and each on its own."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

import pytest
import structlog.testing
import trio
from hypercorn.protocol.h11 import H11Protocol
from starlette.responses import PlainTextResponse

from audio_server.web import connections
from audio_server.web.connections import Connection, serve_connections

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
MUCH = b"GET /much HTTP/1.1\r\nhost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 200"


class Pages:
    """Pages that are served; `over` ends them."""

    def __init__(self, address: Any, over: trio.Event) -> None:
        self._address = address
        self.over = over
        self.has_ended = trio.Event()

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream(*self._address)

    async def asked(self, stream: trio.SocketStream) -> bytes:
        """The beginning of what is answered; nothing from a connection that is closed."""
        answer = b""
        with trio.fail_after(5), suppress(trio.BrokenResourceError):
            await stream.send_all(REQUEST)
            while not answer.endswith(b"hello\n"):
                part = await stream.receive_some()
                if not part:
                    break
                answer += part
        return answer[: len(ANSWER)]

    async def wait_room(self) -> None:
        """Return when there is room for one more."""
        with trio.fail_after(5):
            while True:
                async with await self.connect() as stream:
                    if await self.asked(stream):
                        return


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says hello; and to those who ask for much, without end."""
    if scope["path"] != "/much":
        await PlainTextResponse("hello\n")(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": bytes(10**6), "more_body": True})


@pytest.fixture
async def pages(nursery: trio.Nursery) -> Pages:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    over = trio.Event()
    served = Pages(listener.socket.getsockname(), over)

    async def serve() -> None:
        await serve_connections(app, listener, over)
        served.has_ended.set()

    nursery.start_soon(serve)
    return served


async def test_one_too_many_is_refused(pages: Pages, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 2)
    with structlog.testing.capture_logs() as logs:
        first, second = await pages.connect(), await pages.connect()
        assert await pages.asked(first) == await pages.asked(second) == ANSWER
        async with await pages.connect() as third:
            assert await pages.asked(third) == b""
        await first.aclose()
        await pages.wait_room()
        await second.aclose()
    assert {line["event"] for line in logs} == {"connections to the pages are refused"}


async def test_one_address_has_half_of_them(pages: Pages, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 4)
    monkeypatch.setattr(connections, "is_loopback", lambda host: False)
    async with await pages.connect() as first, await pages.connect() as second:
        assert await pages.asked(first) == await pages.asked(second) == ANSWER
        async with await pages.connect() as third:
            assert await pages.asked(third) == b""


async def test_a_fault_ends_its_connection_alone(pages: Pages, monkeypatch: Any) -> None:
    class Faulty:
        def __init__(self, *args: object) -> None:
            raise RuntimeError("a fault")

    async with await pages.connect() as good:
        assert await pages.asked(good) == ANSWER
        with structlog.testing.capture_logs() as logs, monkeypatch.context() as patch:
            patch.setattr(connections, "Connection", Faulty)
            async with await pages.connect() as bad:
                assert await pages.asked(bad) == b""
        assert [line["event"] for line in logs] == ["connection of the pages failed"]
        assert await pages.asked(good) == ANSWER


@pytest.mark.parametrize(
    "request_",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n",
    ],
)
async def test_nobody_is_given_another_protocol(pages: Pages, request_: bytes) -> None:
    async with await pages.connect() as stream:
        with trio.fail_after(5):
            await stream.send_all(request_)
            answer = await stream.receive_some()
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))


async def test_in_the_end_all_are_closed(pages: Pages) -> None:
    async with await pages.connect() as idle:
        assert await pages.asked(idle) == ANSWER
        pages.over.set()
        with trio.fail_after(5):
            while await idle.receive_some():
                pass
    with pytest.raises(OSError, match="connect"):
        await pages.connect()


async def test_nobody_who_reads_nothing_holds_up_the_end(pages: Pages) -> None:
    async with await pages.connect() as deaf:
        await deaf.send_all(MUCH)
        assert await deaf.receive_some()
        pages.over.set()
        with trio.fail_after(5):
            await pages.has_ended.wait()


async def test_whoever_reads_nothing_for_long_is_let_go(pages: Pages, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "TAKEN_S", 0.1)
    async with await pages.connect() as deaf, await pages.connect() as other:
        await deaf.send_all(MUCH)
        assert await deaf.receive_some()
        await trio.sleep(0.3)
        with trio.fail_after(5), suppress(trio.BrokenResourceError):
            while await deaf.receive_some():
                pass
        assert await pages.asked(other) == ANSWER


async def test_nothing_is_left_of_a_connection_though_nothing_is_collected(pages: Pages) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            async with await pages.connect() as stream:
                assert await pages.asked(stream) == ANSWER
        pages.over.set()
        await pages.has_ended.wait()
        left = [type(each) for each in gc.get_objects() if type(each) in (Connection, H11Protocol)]
    finally:
        gc.enable()
    assert left == []
