"""Each fault does what it says, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from random import Random

import pytest
import trio
import trio.testing
from fault_proxy import Proxy, Pump, Weather
from trio.testing import MockClock, wait_all_tasks_blocked

Arrivals = list[tuple[float, bytes]]


async def carry(weather: Weather, *sent: bytes) -> Arrivals:
    """What comes out of a pump, and when, if all of `sent` goes in at time 0."""
    near_in, near_out = trio.testing.memory_stream_one_way_pair()
    far_in, far_out = trio.testing.memory_stream_one_way_pair()
    arrived: Arrivals = []
    is_open = trio.Event()
    is_open.set()

    async def listen() -> None:
        start = trio.current_time()
        while data := await far_out.receive_some():
            arrived.append((round(trio.current_time() - start, 6), bytes(data)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        nursery.start_soon(Pump(weather, Random(1), lambda: is_open).run, near_out, far_in)
        for data in sent:
            await near_in.send_all(data)
            await wait_all_tasks_blocked()
        await near_in.aclose()
        await trio.sleep(60)
        await far_in.aclose()
    return arrived


async def test_without_weather_bytes_pass_at_once(autojump_clock: MockClock) -> None:
    assert await carry(Weather(), b"one", b"two") == [(0, b"one"), (0, b"two")]


async def test_latency_delays_each_piece_alike(autojump_clock: MockClock) -> None:
    assert await carry(Weather(latency_s=0.2), b"one", b"two") == [(0.2, b"one"), (0.2, b"two")]


async def test_jitter_spreads_and_keeps_the_order(autojump_clock: MockClock) -> None:
    arrived = await carry(Weather(latency_s=0.1, jitter_s=0.5), *(b"%d" % n for n in range(9)))
    assert b"".join(data for _, data in arrived) == b"012345678"
    assert len({at_s for at_s, _ in arrived}) > 1
    assert all(0.1 <= at_s <= 0.6 for at_s, _ in arrived)


async def test_bandwidth_is_what_it_takes(autojump_clock: MockClock) -> None:
    arrived = await carry(Weather(bytes_per_s=100, piece_bytes=10), bytes(50))
    assert arrived == [(round(0.1 * n, 6), bytes(10)) for n in range(1, 6)]


async def test_one_byte_at_a_time(autojump_clock: MockClock) -> None:
    weather = Weather(piece_bytes=1, bytes_per_s=10)
    assert [data for _, data in await carry(weather, b"abc")] == [b"a", b"b", b"c"]


@asynccontextmanager
async def roads() -> AsyncIterator[tuple[Proxy, trio.SocketStream, trio.SocketStream]]:
    """A proxy, and both ends of one connection through it."""
    ends, arrivals = trio.open_memory_channel[trio.SocketStream](1)

    async def keep(end: trio.SocketStream) -> None:
        await ends.send(end)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, keep, 0, host="127.0.0.1"))
        proxy = Proxy(listener.socket.getsockname()[1])
        port = await nursery.start(proxy.run)
        with trio.fail_after(30):
            async with await trio.open_tcp_stream("127.0.0.1", port) as device:
                server = await arrivals.receive()
                await wait_all_tasks_blocked()
                yield proxy, device, server
        nursery.cancel_scope.cancel()


async def test_bytes_and_the_end_pass_both_ways() -> None:
    async with roads() as (proxy, device, server):
        await device.send_all(b"hello")
        assert await server.receive_some() == b"hello"
        await device.send_eof()
        assert await server.receive_some() == b""
        await server.send_all(b"bye")
        await server.send_eof()
        assert [await device.receive_some(), await device.receive_some()] == [b"bye", b""]
        await wait_all_tasks_blocked()
        assert not proxy.roads


async def test_a_cut_is_the_end_for_both() -> None:
    async with roads() as (proxy, device, server):
        proxy.cut()
        assert [await device.receive_some(), await server.receive_some()] == [b"", b""]


async def test_a_reset_breaks_both() -> None:
    async with roads() as (proxy, device, server):
        proxy.reset()
        for end in (device, server):
            with pytest.raises(trio.BrokenResourceError):
                await end.receive_some()


async def test_a_lost_device_is_not_missed_by_the_server() -> None:
    async with roads() as (proxy, device, server):
        proxy.lose_devices()
        assert await device.receive_some() == b""
        with trio.move_on_after(0.05) as patience:
            await server.receive_some()
        assert patience.cancelled_caught
        proxy.let_go()
        assert await server.receive_some() == b""


async def test_half_open_is_silence_and_loses_nothing() -> None:
    async with roads() as (proxy, device, server):
        proxy.block()
        await device.send_all(b"hello")
        with trio.move_on_after(0.05) as patience:
            await server.receive_some()
        assert patience.cancelled_caught
        proxy.unblock()
        assert await server.receive_some() == b"hello"


async def test_where_no_server_is_connections_end() -> None:
    async with trio.open_nursery() as nursery:
        bound = trio.socket.socket()  # never listens, and keeps the port from others
        await bound.bind(("127.0.0.1", 0))
        near = await nursery.start(Proxy(bound.getsockname()[1]).run)
        async with await trio.open_tcp_stream("127.0.0.1", near) as device:
            with trio.fail_after(30):
                assert await device.receive_some() == b""
        bound.close()
        nursery.cancel_scope.cancel()
