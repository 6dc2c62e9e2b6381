"""The main promises over real sockets, with TLS and without: bytes go past trio's streams."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from hyperframe.frame import GoAwayFrame, PingFrame, SettingsFrame, WindowUpdateFrame
from raw_peer import RawPeer, framed
from serving import packet, service

from audio_server.identity.dev_certs import DevCerts, make_dev_certs
from audio_server.identity.tls import client_context, server_context
from audio_server.identity.tls_acceptor import TlsAcceptor
from audio_server.rpc.io.epoll import is_possible
from audio_server.rpc.io.fair_queue import WIDTH, ReadScheduler
from audio_server.rpc.limits import Limits
from audio_server.rpc.server import Securing, Server

BIG = framed(packet(10_000))


class Log:
    """What the handlers of a test have come to."""

    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0


@pytest.fixture(params=["polled", "each by its task"], autouse=True)
def heard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How sockets are heard; systems without epoll have one way only."""
    is_polled = is_possible() and request.param == "polled"
    monkeypatch.setattr("audio_server.rpc.server.is_possible", lambda: is_polled)


class Ways:
    """How a server and its peers meet: with TLS, or without."""

    def __init__(self, certs: DevCerts | None) -> None:
        self.secure: Securing | None = None
        self.over: Callable[[trio.SocketStream], Any] = lambda stream: stream
        if certs is not None:
            make = partial(server_context, certs.server.cert, certs.server.key, None)
            self.secure = TlsAcceptor(make).secure
            context = client_context(certs.ca)
            # Not `https_compatible`: an end without close_notify is an error to these clients.
            self.over = partial(trio.SSLStream, ssl_context=context, server_hostname="localhost")

    def serve(self, handler: Any, limits: Limits | None = None) -> Server:
        """A server of one method."""
        return Server(service(handler), limits=limits, secure=self.secure)

    @asynccontextmanager
    async def listening(self, limits: Limits) -> AsyncIterator[tuple[Server, int, Log]]:
        """A server on a real port whose method echoes, or talks without end (`kind: talk`)."""
        log = Log()

        async def handle(call: Any) -> None:
            call.identified()
            log.begun += 1
            try:
                while call.metadata.get("kind") == "talk":
                    await call.send_framed(BIG)
                async for message in call:
                    await call.send_message(message)
            finally:
                log.ended += 1

        server = self.serve(handle, limits)
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
                await nursery.start(server.run, listeners)
                yield server, listeners[0].socket.getsockname()[1], log
                nursery.cancel_scope.cancel()

    @asynccontextmanager
    async def peer_of(self, port: int, *, small: bool = False) -> AsyncIterator[RawPeer]:
        """A peer; a `small` one has hardly any room for what it does not read."""
        with trio.socket.socket() as raw:
            if small:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await raw.connect(("127.0.0.1", port))
            peer = RawPeer(self.over(trio.SocketStream(raw)))
            await peer.greet({4: 2**30})
            yield peer


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> DevCerts:
    return make_dev_certs(tmp_path_factory.mktemp("certs"), ["localhost"], [])


@pytest.fixture(params=["plain", "tls"])
def ways(request: pytest.FixtureRequest, certs: DevCerts) -> Ways:
    return Ways(certs if request.param == "tls" else None)


async def until(condition: Any) -> None:
    while not condition():  # noqa: ASYNC110
        await trio.sleep(0.01)


async def test_a_goaway_arrives_although_much_is_unread(ways: Ways) -> None:
    async with ways.listening(Limits()) as (_, port, _log), ways.peer_of(port) as peer:
        await peer.open(1)
        await peer.next(SettingsFrame)
        await peer.raw(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"x" * 100_000)
        assert (await peer.goaway()).error_code == 6
        # An end in peace: were it a reset, this would raise. The call's trailers may come before.
        await trio.sleep(0.05)
        with trio.fail_after(10):
            while await peer.transport.receive_some(1000):
                pass


async def test_who_does_not_read_holds_little_and_stops_nobody(ways: Ways) -> None:
    async with (
        ways.listening(Limits()) as (server, port, log),
        ways.peer_of(port, small=True) as stalled,
        ways.peer_of(port) as healthy,
    ):
        await stalled.send(WindowUpdateFrame(0, window_increment=2**30))
        await stalled.open(1, ("kind", "talk"))
        await healthy.open(1)
        await until(lambda: log.begun == 2)
        for number in range(1, 51):
            before = trio.current_time()
            await healthy.message(1, packet(20))
            await healthy.received(1, 25 * number)
            assert trio.current_time() - before < 0.5
        waiting = [len(connection.http2.out) for connection in server._connections]
        assert max(waiting) < 64 * 1024


async def test_who_neither_reads_nor_speaks_is_gone_with_its_tasks(ways: Ways) -> None:
    limits = replace(Limits(), keepalive_s=0.2, keepalive_answer_s=0.2)
    async with (
        ways.listening(limits) as (server, port, log),
        ways.peer_of(port, small=True) as peer,
    ):
        await peer.send(WindowUpdateFrame(0, window_increment=2**30))
        await peer.open(1, ("kind", "talk"))
        await until(lambda: log.begun)
        start = trio.current_time()
        await until(lambda: log.ended and not server._connections)
        assert trio.current_time() - start < 2


async def test_an_attacker_is_closed_and_the_others_go_on(ways: Ways) -> None:
    async with ways.listening(Limits()) as (server, port, _log), ways.peer_of(port) as healthy:
        await healthy.open(1)
        for number in range(1, 6):
            async with ways.peer_of(port) as attacker:
                await attacker.send(*(SettingsFrame(0) for _ in range(200)))
                assert (await attacker.goaway()).error_code == 11
            await healthy.message(1, packet(20))
            await healthy.received(1, 25 * number)
        await until(lambda: len(server._connections) == 1)


@pytest.mark.parametrize(
    "last",
    [b"\xff" * 9, 40 * PingFrame(0, opaque_data=b"12345678", flags=["ACK"]).serialize()],
    ids=["a frame too long", "forty frames"],
)
async def test_whose_last_words_go_on_ends_alone(ways: Ways, last: bytes) -> None:
    """It leaves, and in the same bytes breaks a rule, or says more than fits into a turn."""
    async with ways.listening(Limits()) as (server, port, _log), ways.peer_of(port) as healthy:
        await healthy.open(1)
        async with ways.peer_of(port) as leaver:
            await leaver.open(1)
            await leaver.message(1, packet(20))
            await leaver.received(1, 25)
            await leaver.give(1, b"", end=True)
            assert await leaver.status(1) == 0
            await leaver.raw(GoAwayFrame(0).serialize() + last)
            await until(lambda: len(server._connections) == 1)
        await healthy.message(1, packet(20))
        await healthy.received(1, 25)


async def test_a_drain_waits_for_nobody_who_is_stalled(ways: Ways) -> None:
    async with (
        ways.listening(Limits(close_timeout_s=0.5)) as (server, port, log),
        ways.peer_of(port, small=True) as stalled,
        ways.peer_of(port) as healthy,
    ):
        await stalled.send(WindowUpdateFrame(0, window_increment=2**30))
        await stalled.open(1, ("kind", "talk"))
        await healthy.open(1)
        await until(lambda: log.begun == 2)
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.drain)
            first, second = await healthy.goaway(), await healthy.goaway()
            assert first.last_stream_id > second.last_stream_id == 1
            assert await healthy.status(1) == Status.UNAVAILABLE.value
            await healthy.closed()
        assert trio.current_time() - start < 2
        assert log.ended == 2


@pytest.mark.parametrize("cancelled_before", [False, True])
async def test_an_abort_waits_for_nothing(ways: Ways, *, cancelled_before: bool) -> None:
    """Not even for a farewell that is under way to one who does not read."""
    log = Log()
    server = ways.serve(partial(talk, log), Limits(close_timeout_s=60))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(server.run, listeners)
            async with ways.peer_of(listeners[0].socket.getsockname()[1], small=True) as stalled:
                await stalled.send(WindowUpdateFrame(0, window_increment=2**30))
                await stalled.open(1)
                await until(lambda: log.begun)
                await trio.sleep(0.1)
                if cancelled_before:
                    nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True):
                    await trio.sleep(0.1)
                    start = trio.current_time()
                    server.abort()
        assert trio.current_time() - start < 0.5
        assert log.ended


async def test_an_abort_does_not_linger_for_one_who_broke_the_rules(ways: Ways) -> None:
    """He has his GOAWAY, a call of his takes its time to end, and then somebody is in a hurry."""

    async def take_time(call: Any) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.3)

    server = ways.serve(take_time, Limits(close_timeout_s=60))
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(server.run, listeners)
            async with ways.peer_of(listeners[0].socket.getsockname()[1]) as peer:
                await peer.open(1)
                await peer.next(SettingsFrame)
                await peer.raw(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01")
                assert (await peer.goaway()).error_code == 6
                start = trio.current_time()
                server.abort()
                await until(lambda: not server._connections)
                assert trio.current_time() - start < 2
            nursery.cancel_scope.cancel()


async def talk(log: Log, call: Any) -> None:
    log.begun += 1
    try:
        while True:
            await call.send_framed(BIG)
    finally:
        log.ended += 1


async def test_a_drained_server_takes_nobody_new(ways: Ways) -> None:
    async with ways.listening(Limits()) as (server, port, _log), ways.peer_of(port) as peer:
        await peer.ping()
        await peer.next(PingFrame)
        await server.drain()
        with suppress(OSError):
            async with ways.peer_of(port) as late:
                assert not any(isinstance(f, SettingsFrame) for f in await late.closed())


async def test_who_is_in_line_comes_through_when_the_turnstile_ends() -> None:
    scheduler = ReadScheduler()
    through = 0

    async def enter() -> None:
        nonlocal through
        with trio.CancelScope(shield=True):
            await scheduler.enter()
        through += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(scheduler.run)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3 * WIDTH):
            nursery.start_soon(enter)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert through == 3 * WIDTH


async def test_a_status_that_is_raised_arrives_over_a_socket(ways: Ways) -> None:
    async def handle(call: Any) -> None:
        raise GRPCError(Status.NOT_FOUND, "no")

    server = ways.serve(handle)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(server.run, listeners)
        async with ways.peer_of(listeners[0].socket.getsockname()[1]) as peer:
            await peer.open(1, end=True)
            assert await peer.status(1) == Status.NOT_FOUND.value
        nursery.cancel_scope.cancel()
