"""Connections in all, and from one address: on real sockets, and without any."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
from raw_peer import Closed, RawPeer
from serving import packet, service

from audio_server.rpc.gate import Gate
from audio_server.rpc.limits import Limits
from audio_server.rpc.listener import Server

Logs = list[MutableMapping[str, Any]]


async def echo_to_friends(call: Any) -> None:
    if "device_id" in call.metadata:
        call.identified()
    async for message in call:
        await call.send_message(message)


@asynccontextmanager
async def listening(limits: Limits) -> AsyncIterator[tuple[Server, int]]:
    server = Server(service(echo_to_friends), limits=limits)
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
    limits = Limits(max_strangers=3)
    async with listening(limits) as (server, port), AsyncExitStack() as stack:
        with trio.fail_after(10):
            strangers = [await connect(stack, port) for _ in range(3)]
            assert [await is_served(peer) for peer in strangers] == [True] * 3
            assert not await is_served(await connect(stack, port))
            assert server.refused == {"too many strangers from one address": 1}
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
        with trio.fail_after(10):
            for _ in range(2):
                peer = await connect(stack, port)
                await peer.open(1, ("device_id", "a"), end=True)
                assert await peer.status(1) == 0
            assert not await is_served(await connect(stack, port))
            assert server.refused == {"too many connections": 1}


async def test_many_refusals_are_a_few_lines(logs: Logs) -> None:
    gate = Gate(Limits(max_connections=0))
    for _ in range(1000):
        assert gate.enter("192.0.2.1") is None
    assert gate.refused.total() == 1000
    assert len(logs) == 10


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
async def test_what_counts_as_one_address(one: str, other: str, *, same: bool) -> None:
    gate = Gate(Limits(max_strangers=1))
    assert gate.enter(one) is not None
    assert (gate.enter(other) is None) is same


async def test_a_pass_counts_once() -> None:
    gate = Gate(Limits(max_connections=2, max_strangers=1))
    first = gate.enter("192.0.2.1")
    assert first is not None
    first.know()
    first.know()
    second = gate.enter("192.0.2.1")
    assert second is not None
    assert gate.enter("192.0.2.1") is None
    second.leave()
    first.leave()
    third = gate.enter("192.0.2.1")
    assert third is not None
    assert gate.enter("192.0.2.1") is None
