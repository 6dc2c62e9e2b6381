"""Connections in all, and from one address: on real sockets, and without any."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import pytest
import structlog
import trio
from raw_peer import Closed, RawPeer
from serving import packet, service
from trio.testing import MockClock

from audio_server.process.log_limiter import FaultLimiter
from audio_server.rpc.admission import ConnectionLimiter, Slot
from audio_server.rpc.io.accept import Acceptor
from audio_server.rpc.limits import Limits
from audio_server.rpc.server import Securing, Server

Logs = list[MutableMapping[str, Any]]


async def echo_to_friends(call: Any) -> None:
    if "device_id" in call.metadata:
        call.identified()
    async for message in call:
        await call.send_message(message)


@asynccontextmanager
async def listening(
    limits: Limits, secure: Securing | None = None
) -> AsyncIterator[tuple[Server, int]]:
    server = Server(service(echo_to_friends), limits=limits, secure=secure)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        await nursery.start(server.run, listeners)
        yield server, listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def connect(stack: AsyncExitStack, port: int) -> RawPeer:
    transport = await stack.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))
    peer = RawPeer(transport)
    await peer.greet()
    return peer


async def is_served(peer: RawPeer) -> bool:
    try:
        await peer.read()
    except (Closed, OSError):
        return False
    return True


async def test_strangers_from_one_address_are_few_and_friends_many(logs: Logs) -> None:
    limits = Limits(max_unauthenticated=3)
    async with listening(limits) as (server, port), AsyncExitStack() as stack:
        with trio.fail_after(60):
            strangers = [await connect(stack, port) for _ in range(3)]
            assert [await is_served(peer) for peer in strangers] == [True] * 3
            assert not await is_served(await connect(stack, port))
            assert server.refused == {"too many unauthenticated connections from one address": 1}
            # One says who it is and makes room for another; its own calls go on.
            await strangers[0].open(1, ("device_id", "a"))
            await strangers[0].message(1, packet(5))
            await strangers[0].received(1, 10)
            assert await is_served(await connect(stack, port))
            assert not await is_served(await connect(stack, port))
            # One goes and makes room as well.
            await strangers[1].transport.aclose()
            await trio.sleep(0.05)
            assert await is_served(await connect(stack, port))
            await strangers[0].message(1, packet(5))
            await strangers[0].received(1, 20)
    assert {line["event"] for line in logs} == {"connection refused"}


async def test_connections_in_all_are_bounded_friends_or_not() -> None:
    async with listening(Limits(max_connections=2)) as (server, port), AsyncExitStack() as stack:
        with trio.fail_after(60):
            for _ in range(2):
                peer = await connect(stack, port)
                await peer.open(1, ("device_id", "a"), end=True)
                assert await peer.status(1) == 0
            assert not await is_served(await connect(stack, port))
            assert server.refused == {"too many connections": 1}


def visit(limiter: ConnectionLimiter, host: str, *, is_device: bool) -> bool:
    """Come and go; whether it was let in."""
    admission = limiter.enter(host)
    if admission is None:
        return False
    if is_device:
        admission.authenticated()
    admission.leave()
    return True


async def test_strangers_that_come_and_go_are_let_in_at_a_rate(autojump_clock: MockClock) -> None:
    limiter = ConnectionLimiter(Limits())
    visits = [visit(limiter, "192.0.2.1", is_device=False) for _ in range(1000)]
    assert visits == [True] * 200 + [False] * 800
    assert limiter.refused == {"too many abandoned connections from one address": 800}
    assert visit(limiter, "192.0.2.2", is_device=False)
    await trio.sleep(1.0)
    visits = [visit(limiter, "192.0.2.1", is_device=False) for _ in range(1000)]
    assert visits.count(True) == 20
    await trio.sleep(100.0)
    for number in range(3000):
        visit(limiter, f"198.51.{number // 250}.{number % 250}", is_device=False)
        await trio.sleep(0.01)
    assert sum(map(len, limiter._abandoned.values())) <= 1024


async def test_devices_cost_nothing_however_often_they_come_back(autojump_clock: MockClock) -> None:
    """All of a house come through one address, and after an outage all at once."""
    limiter = ConnectionLimiter(Limits())
    assert all(visit(limiter, "192.0.2.1", is_device=True) for _ in range(10_000))
    assert visit(limiter, "192.0.2.1", is_device=False)


async def test_devices_get_in_beside_one_that_hammers_at_their_address(
    autojump_clock: MockClock,
) -> None:
    limiter, random = ConnectionLimiter(Limits()), Random(0)
    inside: set[int] = set()

    async def hammer() -> None:
        while True:
            visit(limiter, "192.0.2.1", is_device=False)
            await trio.sleep(0.01)

    async def device(number: int) -> None:
        while (admission := limiter.enter("192.0.2.1")) is None:  # noqa: ASYNC110
            await trio.sleep(random.uniform(0.5, 1.5))
        admission.authenticated()
        inside.add(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hammer)
        await trio.sleep(10.0)
        assert not visit(limiter, "192.0.2.1", is_device=False)
        for number in range(100):
            nursery.start_soon(device, number)
        await trio.sleep(60.0)
        assert len(inside) == 100
        nursery.cancel_scope.cancel()


async def test_a_crowd_that_reconnects_is_turned_away_and_a_device_stays(logs: Logs) -> None:
    limits = Limits(abandoned=(5, 0.001))
    async with listening(limits) as (server, port), AsyncExitStack() as stack:
        with trio.fail_after(60):
            device = await connect(stack, port)
            await device.open(1, ("device_id", "a"))
            for _ in range(5):
                async with await trio.open_tcp_stream("127.0.0.1", port) as stranger:
                    assert await stranger.receive_some() != b""
            while not server.refused:
                await trio.sleep(0.01)
                async with await trio.open_tcp_stream("127.0.0.1", port):
                    pass
            await device.message(1, packet(5))
            await device.received(1, 10)
    assert set(server.refused) == {"too many abandoned connections from one address"}


async def test_many_refusals_are_a_few_lines() -> None:
    limiter = ConnectionLimiter(Limits(max_connections=0))
    with structlog.testing.capture_logs([FaultLimiter()]) as logs:
        for _ in range(1000):
            assert limiter.enter("192.0.2.1") is None
    assert limiter.refused.total() == 1000
    assert len(logs) == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", True),
        ("2001:db8:1:200::1", "2001:db8:1:2ff:ffff::1", True),
        ("2001:db8:1:2ff::1", "2001:db8:1:300::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
async def test_what_counts_as_one_address(one: str, other: str, *, same: bool) -> None:
    limiter = ConnectionLimiter(Limits(max_unauthenticated=1))
    assert limiter.enter(one) is not None
    assert (limiter.enter(other) is None) is same


def enter(limiter: ConnectionLimiter, host: str, ended: list[str]) -> Slot:
    slot = limiter.enter(host)
    assert slot is not None
    slot.end_with(lambda: ended.append(host))
    return slot


async def test_when_it_is_full_the_oldest_unauthenticated_connection_gives_way() -> None:
    limiter, ended = ConnectionLimiter(Limits(max_connections=4)), list[str]()
    device, *others = (enter(limiter, f"192.0.2.{n}", ended) for n in range(4))
    device.authenticated()
    others[0].leave()
    enter(limiter, "192.0.2.4", ended)
    assert ended == []
    enter(limiter, "192.0.2.5", ended)
    enter(limiter, "192.0.2.6", ended)
    assert ended == ["192.0.2.2", "192.0.2.3"]
    assert not others[1].is_held
    others[1].leave()
    enter(limiter, "192.0.2.7", ended)
    assert ended == ["192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert device.is_held
    assert limiter.refused.total() == 0


async def test_an_authenticated_connection_never_gives_way() -> None:
    limiter, ended = ConnectionLimiter(Limits(max_connections=2)), list[str]()
    for n in range(2):
        enter(limiter, f"192.0.2.{n}", ended).authenticated()
    assert limiter.enter("192.0.2.9") is None
    assert (limiter.refused, ended) == ({"too many connections": 1}, [])


async def test_one_that_is_refused_takes_no_place_of_another() -> None:
    limits = Limits(max_connections=3, max_unauthenticated=2)
    limiter, ended = ConnectionLimiter(limits), list[str]()
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.2"):
        enter(limiter, host, ended)
    assert limiter.enter("192.0.2.2") is None
    assert ended == []


async def test_those_that_gave_way_have_spent_their_addresss_tokens() -> None:
    limiter, ended = ConnectionLimiter(Limits(max_connections=1, abandoned=(1, 0.001))), list[str]()
    enter(limiter, "192.0.2.1", ended)
    enter(limiter, "192.0.2.2", ended)
    assert limiter.enter("192.0.2.1") is None
    assert limiter.refused == {"too many abandoned connections from one address": 1}


async def test_newcomers_are_served_however_many_say_nothing(logs: Logs) -> None:
    limits = Limits(max_connections=50)
    async with listening(limits) as (server, port), AsyncExitStack() as stack:
        with trio.fail_after(60):
            device = await connect(stack, port)
            await device.open(1, ("device_id", "a"))
            await device.message(1, packet(5))
            await device.received(1, 10)
            silent = [await connect(stack, port) for _ in range(99)]
            newcomer = await connect(stack, port)
            await newcomer.open(1, ("device_id", "b"))
            await newcomer.message(1, packet(5))
            await newcomer.received(1, 10)
            await silent[0].closed()
            assert await is_served(silent[-1])
            await device.message(1, packet(5))
            await device.received(1, 20)
    assert server.refused == {}
    assert {line["event"] for line in logs} == {"connection gave way to a newer one"}


async def test_a_handshake_under_way_gives_way_too() -> None:
    async def never(_: trio.abc.Stream, *_more: object) -> None:
        await trio.sleep_forever()

    async with listening(Limits(max_connections=3), never) as (_, port), AsyncExitStack() as stack:
        with trio.fail_after(60):
            silent = [await connect(stack, port) for _ in range(4)]
            await silent[0].closed()


class FullListener(trio.abc.Listener[Any]):
    """Has one connection to accept, once there is room."""

    def __init__(self) -> None:
        self.tries = 0
        self.has_room = False
        self.theirs, self.ours = trio.testing.memory_stream_pair()

    async def accept(self) -> Any:
        await trio.lowlevel.checkpoint()
        self.tries += 1
        if not self.has_room:
            raise OSError(errno.EMFILE, "no more files")
        if self.ours is None:
            await trio.sleep_forever()
        ours, self.ours = self.ours, None  # type: ignore[assignment]
        return ours

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_where_files_run_out_a_connection_gives_way(
    autojump_clock: MockClock, logs: Logs
) -> None:
    listener, served = FullListener(), trio.Event()

    def make_room() -> bool:
        listener.has_room = True
        return True

    async def serve(stream: trio.abc.Stream) -> None:
        served.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Acceptor(serve, make_room).run, listener, nursery)
        start = trio.current_time()
        await served.wait()
        assert trio.current_time() - start < 0.05
        nursery.cancel_scope.cancel()
    assert [line["event"] for line in logs] == ["connection not accepted"]


async def test_where_files_run_out_and_nothing_gives_way_it_is_tried_again(
    autojump_clock: MockClock, logs: Logs
) -> None:
    listener = FullListener()

    async def serve(stream: trio.abc.Stream) -> None:
        raise AssertionError

    async with trio.open_nursery() as nursery:
        nursery.start_soon(Acceptor(serve, lambda: False).run, listener, nursery)
        await trio.sleep(9.95)
        nursery.cancel_scope.cancel()
    assert 95 <= listener.tries <= 105
    assert len(logs) == 1


async def test_a_pass_counts_once() -> None:
    limiter = ConnectionLimiter(Limits(max_connections=2, max_unauthenticated=1))
    first = limiter.enter("192.0.2.1")
    assert first is not None
    first.authenticated()
    first.authenticated()
    second = limiter.enter("192.0.2.1")
    assert second is not None
    assert limiter.enter("192.0.2.1") is None
    second.leave()
    first.leave()
    third = limiter.enter("192.0.2.1")
    assert third is not None
    assert limiter.enter("192.0.2.1") is None
