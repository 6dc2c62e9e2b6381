"""A connection that carries many devices: no one of them ends or holds up the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import MutableMapping
from dataclasses import fields
from ipaddress import ip_network
from typing import Any

import pytest
import trio
from hyperframe.frame import PingFrame, RstStreamFrame
from offending import beside_a_healthy_device
from raw_peer import RawPeer, framed
from serving import echo, packet, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.rpc.admission import ConnectionLimiter
from audio_server.rpc.limits import Limits, check_together
from audio_server.rpc.trusted_proxies import PeerLimits, proxy_limits

Logs = list[MutableMapping[str, Any]]

PROXY = PeerLimits(Limits(), [ip_network("127.0.0.1"), ip_network("2001:db8::/32")])


@pytest.mark.parametrize(
    ("host", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("127.0.0.2", False),
        ("2001:db8:5::1", True),
        ("2001:db8:5::1%eth0", True),
        ("2001:db9::1", False),
        ("local", False),
        ("", False),
    ],
)
def test_a_proxy_is_known_by_its_address(host: str, *, is_trusted: bool) -> None:
    assert PROXY.of(host) is (PROXY.of_proxies if is_trusted else PROXY.ordinary)


def test_no_proxy_is_trusted_by_itself() -> None:
    limits = PeerLimits(Limits())
    assert limits.of("127.0.0.1") is limits.ordinary


def test_every_rate_of_a_connection_is_a_hundred_times_as_wide() -> None:
    ordinary, wide = Limits(), proxy_limits(Limits())
    rates = {field.name for field in fields(Limits) if field.type == "Pace"}
    assert len(rates) >= 8
    for name in rates:
        burst, per_s = getattr(ordinary, name)
        assert getattr(wide, name) == (burst * 100, per_s * 100)
    check_together(wide)


@pytest.mark.parametrize(("own", "expected"), [(3, 128), (100, 128), (1000, 1000)])
def test_at_least_128_calls_are_open_at_once(own: int, expected: int) -> None:
    wide = proxy_limits(Limits(max_streams=own))
    assert wide.max_streams == expected
    assert wide.connection_window_bytes == expected * wide.stream_window_bytes


def test_the_largest_limits_fit_into_http2() -> None:
    limits = Limits(max_streams=1000, stream_window_bytes=16 * 1024**2)
    assert proxy_limits(limits).connection_window_bytes == 2**31 - 1


async def reset_calls(peer: RawPeer, first_id: int, *, count: int, per_s: float) -> None:
    for stream_id in range(first_id, first_id + 2 * count, 2):
        await peer.open(stream_id)
        await trio.sleep(1 / per_s)
        await peer.reset(stream_id)


DEVICES = 60


@pytest.mark.parametrize(("limits", "survives"), [(PROXY.of_proxies, True), (Limits(), False)])
async def test_one_client_that_resets_ends_nobody_elses_calls(
    autojump_clock: MockClock, logs: Logs, limits: Limits, *, survives: bool
) -> None:
    """With ordinary limits it does, which is why a proxy has others."""
    async with serving(echo, limits=limits) as served:
        for stream_id in range(1, 2 * DEVICES, 2):
            await served.peer.open(stream_id)
        await wait_all_tasks_blocked()
        try:
            await reset_calls(served.peer, 1001, count=1500, per_s=50)
        except trio.BrokenResourceError:
            assert not survives
        else:
            await served.peer.message(1, packet(5))
            await served.peer.received(1, 10)
            assert len(served.connection.streams) == DEVICES
    assert bool(logs) is not survives


async def test_many_devices_come_at_once(autojump_clock: MockClock) -> None:
    async with serving(echo, limits=PROXY.of_proxies) as served:
        start = trio.current_time()
        for stream_id in range(1, 2 * 128, 2):
            await served.peer.open(stream_id)
            await served.peer.message(stream_id, packet(5), end=True)
        for stream_id in range(1, 2 * 128, 2):
            assert await served.peer.status(stream_id) == 0
        assert trio.current_time() - start < 0.1


async def test_a_hundred_calls_are_taken_of_anybody(autojump_clock: MockClock) -> None:
    """RFC 9113 section 5.1.2 recommends so many. The first reach the server without a pause."""
    async with serving(echo) as served:
        for stream_id in range(1, 203, 2):
            await served.peer.open(stream_id)
        assert await served.peer.reset_code(201) == 7
        assert len(served.connection.streams) == 100
        await served.peer.message(199, packet(5), end=True)
        assert await served.peer.status(199) == 0


async def test_calls_that_are_not_read_hold_up_no_others(autojump_clock: MockClock) -> None:
    async def read_some(call: Any) -> None:
        if "deaf" in call.metadata:
            await trio.sleep_forever()
        await echo(call)

    async with serving(read_some, limits=PROXY.of_proxies) as served:
        for stream_id in range(1, 2 * 100, 2):
            await served.peer.open(stream_id, ("deaf", "yes"))
            for _ in range(4):
                await served.peer.give(stream_id, framed(bytes(16_000)))
        await served.peer.open(1001)
        await served.peer.message(1001, packet(5))
        await served.peer.received(1001, 10)


async def test_a_proxy_may_ask_whether_the_server_is_alive(autojump_clock: MockClock) -> None:
    async with serving(echo, limits=PROXY.of_proxies) as served:
        await served.peer.open(1)
        for _ in range(100):
            await trio.sleep(0.5)
            await served.peer.ping()
            await served.peer.next(PingFrame)
        assert not served.ended.is_set()


async def test_an_address_of_a_proxy_is_not_one_client(autojump_clock: MockClock) -> None:
    limiter = ConnectionLimiter(PROXY)
    admitted = Counter(
        host
        for host in ("127.0.0.1", "192.0.2.1")
        for _ in range(2000)
        if limiter.enter(host) is not None
    )
    assert admitted == {"127.0.0.1": 2000, "192.0.2.1": 100}


async def test_a_proxy_opens_a_connection_for_each_call(autojump_clock: MockClock) -> None:
    """As nginx does, which closes it when the call is cancelled."""
    limiter, refused = ConnectionLimiter(PROXY), Counter[str]()
    for _ in range(500):
        for host in ("127.0.0.1", "192.0.2.1"):
            slot = limiter.enter(host)
            if slot is None:
                refused[host] += 1
            else:
                slot.leave()
    assert set(refused) == {"192.0.2.1"}


async def test_a_proxy_is_held_to_its_own_measure(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(limits=PROXY.of_proxies) as served:
        reset = RstStreamFrame(1, error_code=8).serialize()
        await served.peer.open(1)
        for _ in range(110):
            await served.peer.raw(reset * 100)
        assert (await served.peer.ended_with())[0] == 11
