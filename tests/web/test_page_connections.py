"""Connections to the pages: bounded, and each on its own."""

from __future__ import annotations

import gc
from contextlib import suppress
from typing import Any

import pytest
import structlog.testing
import trio
from starlette.responses import PlainTextResponse

from audio_server.web import connection, connections, outgoing, places
from audio_server.web.connection import Connection
from audio_server.web.connections import serve_connections
from audio_server.web.edge import Edge
from audio_server.web.http1 import Http1
from audio_server.web.visit import visit_of

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
MUCH = b"GET /much HTTP/1.1\r\nhost: localhost\r\n\r\n"
LATE = b"GET /late HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9000000\r\n\r\n"
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
        with trio.fail_after(30), suppress(trio.BrokenResourceError):
            await stream.send_all(REQUEST)
            while not answer.endswith(b"hello\n"):
                part = await stream.receive_some()
                if not part:
                    break
                answer += part
        return answer[: len(ANSWER)]

    async def wait_room(self) -> None:
        """Return when there is room for one more."""
        with trio.fail_after(30):
            while True:
                async with await self.connect() as stream:
                    if await self.asked(stream):
                        return


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Says hello, after a while to those who ask for that; and to those who ask for much, without
    end."""
    if scope["path"] == "/late":
        await trio.sleep(0.1)
    if (visit := visit_of(scope)) is not None:
        visit.admit()
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
        await serve_connections(Edge(app), [listener], over)
        served.has_ended.set()

    nursery.start_soon(serve)
    return served


async def test_silent_connections_keep_nobody_out(pages: Pages, monkeypatch: Any) -> None:
    monkeypatch.setattr(places, "CONNECTIONS_MAX", 8)
    with structlog.testing.capture_logs() as logs:
        silent = [await pages.connect() for _ in range(8)]
        for _ in range(3):
            async with await pages.connect() as probe:
                assert await pages.asked(probe) == ANSWER
        assert await pages.asked(silent[0]) == b""
        assert await pages.asked(silent[-1]) == ANSWER
        for stream in silent:
            await stream.aclose()
    assert {line["event"] for line in logs} == {"connection to the pages gave way to a new one"}


async def test_where_all_are_served_one_more_is_refused(pages: Pages, monkeypatch: Any) -> None:
    monkeypatch.setattr(places, "CONNECTIONS_MAX", 2)
    monkeypatch.setattr(places, "RESERVED", 0)
    async with await pages.connect() as one, await pages.connect() as two:
        for busy in (one, two):
            await busy.send_all(MUCH)
            assert await busy.receive_some()
        with structlog.testing.capture_logs() as logs:
            async with await pages.connect() as third:
                assert await pages.asked(third) == b""
        assert [line["event"] for line in logs] == ["connection to the pages refused"]
    await pages.wait_room()


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
        with trio.fail_after(30):
            await stream.send_all(request_)
            answer = await stream.receive_some()
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 505"))


async def test_in_the_end_all_are_closed(pages: Pages) -> None:
    async with await pages.connect() as idle:
        assert await pages.asked(idle) == ANSWER
        pages.over.set()
        with trio.fail_after(30):
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
    monkeypatch.setattr(connection, "TAKEN_S", 0.1)
    async with await pages.connect() as deaf, await pages.connect() as other:
        await deaf.send_all(MUCH)
        assert await deaf.receive_some()
        await trio.sleep(0.3)
        with trio.fail_after(30), suppress(trio.BrokenResourceError):
            while await deaf.receive_some():
                pass
        assert await pages.asked(other) == ANSWER


async def test_what_waits_for_all_clients_has_a_sum(pages: Pages, monkeypatch: Any) -> None:
    """The one that has waited longest gives way; each of them alone would be waited for."""
    monkeypatch.setattr(outgoing, "WAITING_MAX_BYTES", 2_500_000)
    deaf = [await pages.connect() for _ in range(3)]
    for stream in deaf:
        await stream.send_all(MUCH)
        assert await stream.receive_some()
        await trio.sleep(0.05)
    with trio.fail_after(5), suppress(trio.BrokenResourceError):
        while await deaf[0].receive_some():
            pass
    assert await deaf[1].receive_some()
    assert await deaf[2].receive_some()
    for stream in deaf:
        await stream.aclose()


async def test_an_idle_connection_outlives_a_balancers_idle_ones(
    nursery: trio.Nursery, monkeypatch: Any
) -> None:
    monkeypatch.setattr(connection, "READ_S", 0.3)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    over = trio.Event()
    pages = Pages(listener.socket.getsockname(), over)
    nursery.start_soon(serve_connections, app, [listener], over, 1.5)
    async with await pages.connect() as asked, await pages.connect() as silent:
        assert await pages.asked(asked) == ANSWER
        with trio.fail_after(30):
            assert await silent.receive_some() == b""
        await trio.sleep(0.1)
        assert await pages.asked(asked) == ANSWER
        start = trio.current_time()
        with trio.fail_after(30):
            assert await asked.receive_some() == b""
        assert trio.current_time() - start > 0.6
    over.set()


async def test_nothing_is_left_of_a_connection_though_nothing_is_collected(pages: Pages) -> None:
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            async with await pages.connect() as stream:
                assert await pages.asked(stream) == ANSWER
        pages.over.set()
        await pages.has_ended.wait()
        left = [type(each) for each in gc.get_objects() if type(each) in (Connection, Http1)]
    finally:
        gc.enable()
    assert left == []


async def test_a_body_that_nobody_reads_holds_no_place(pages: Pages) -> None:
    """What comes of it waits for an application that has answered and gone."""
    for _ in range(3):
        async with await pages.connect() as stream:
            with trio.fail_after(30), suppress(trio.BrokenResourceError):
                await stream.send_all(LATE)
                await stream.send_all(bytes(9_000_000))
                while await stream.receive_some():
                    pass
    pages.over.set()
    with trio.fail_after(0.4):  # it waits for half a second for connections that are there
        await pages.has_ended.wait()
