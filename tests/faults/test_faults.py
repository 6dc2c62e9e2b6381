"""Stock devices on bad roads to the real server, over real sockets, each watched by an oracle.

All roads are travelled at once, in one process, so that each is also the proof that it does the
others no harm. With TLS its records are cut anywhere, and so are handshakes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from ssl import SSLContext

import pytest
import trio
from fault_house import House, Watched, open_house, wait_until
from fault_proxy import Proxy, Weather

from audio_server.identity.dev_certs import make_dev_certs
from audio_server.identity.tls import client_context, server_context
from audio_server.identity.tls_acceptor import TlsAcceptor
from audio_server.rpc.server import Securing
from audio_server.simulator.verdict import Limits, Rule

LIVE_S = 2.0
FAULT_S = 0.7
HELD_UP_S = 0.5
"""For so long a busy machine may hold up all of this."""
STRICT = Limits(tolerance_s=HELD_UP_S)


@dataclass(frozen=True)
class Trip:
    """A road, what it adds to times, and what not even the server can mend."""

    weather: Weather
    adds_s: float = 0.0
    forgiven: tuple[Rule, ...] = ()


# What a busy machine or a slow road breaks by being late (a take that starts too late for its Play
# looks unasked). All that comes still comes, whole and in order.
TIMES = (Rule.LATE, Rule.ACK, Rule.STOP, Rule.LEDS, Rule.SILENT, Rule.UNASKED)

TRIPS = {
    "latency": Trip(Weather(latency_s=0.15), 0.2),
    "jitter": Trip(Weather(latency_s=0.02, jitter_s=0.15), 0.2),
    "bandwidth": Trip(Weather(bytes_per_s=12_000, piece_bytes=500), 0.3),
    "single-bytes": Trip(Weather(piece_bytes=1), 1.5, TIMES),  # the proxy's work is what is slow
    "trickle": Trip(
        Weather(bytes_per_s=2_500, piece_bytes=100), 1.5, TIMES
    ),  # less than sound needs
}


@dataclass(frozen=True)
class Ends:
    """The ends of TLS; both None without it. A handshake takes seconds on the slowest roads."""

    secure: Securing | None = None
    context: SSLContext | None = None
    live_s: float = LIVE_S


@pytest.fixture(params=["plain", "tls"])
def ends(request: pytest.FixtureRequest, tmp_path: Path) -> Ends:
    if request.param == "plain":
        return Ends()
    certs = make_dev_certs(tmp_path, ["localhost"], [])
    make = partial(server_context, certs.server.cert, certs.server.key, None)
    return Ends(TlsAcceptor(make).secure, client_context(certs.ca), 3 * LIVE_S)


async def _travel(
    house: House, name: str, trip: Trip, nursery: trio.Nursery, ends: Ends
) -> Watched:
    proxy = Proxy(house.port, trip.weather)
    port = await nursery.start(proxy.run)
    limits = Limits(tolerance_s=HELD_UP_S + trip.adds_s)
    return Watched(name, port, limits, context=ends.context)


async def test_bad_roads_break_no_contract(ends: Ends) -> None:
    async with open_house(secure=ends.secure) as house, trio.open_nursery() as roads:
        watched = {
            (name, number): await _travel(house, f"{name}-{number}", trip, roads, ends)
            for name, trip in TRIPS.items()
            for number in range(2)
        }
        watched |= {
            ("direct", n): Watched(f"direct-{n}", house.port, STRICT, context=ends.context)
            for n in range(3)
        }
        async with trio.open_nursery() as nursery:
            for each in watched.values():
                nursery.start_soon(each.live, ends.live_s)
        forgiven = {name: trip.forgiven for name, trip in TRIPS.items()} | {"direct": ()}
        broken = {key: each.broken(*forgiven[key[0]]) for key, each in watched.items()}
        assert {key: told for key, told in broken.items() if told} == {}
        assert {each.connections for each in watched.values()} == {1}
        punctual = (key for key in watched if forgiven[key[0]] != TIMES)
        assert [key for key in punctual if not watched[key].takes] == []
        roads.cancel_scope.cancel()


async def _block_a_while(proxy: Proxy) -> None:
    proxy.block()
    await trio.sleep(0.3)
    proxy.unblock()


async def test_a_device_comes_back_from_every_fault_and_no_other_notices(ends: Ends) -> None:
    faults = {
        "cut": Proxy.cut,
        "reset": Proxy.reset,
        "lost": Proxy.lose_devices,
        "half-open": _block_a_while,
    }
    async with open_house(secure=ends.secure) as house, trio.open_nursery() as roads:
        unharmed = [
            Watched(f"direct-{n}", house.port, STRICT, context=ends.context) for n in range(3)
        ]
        proxies = {name: Proxy(house.port) for name in faults}
        hit: dict[str, Watched] = {}
        async with trio.open_nursery() as nursery:
            for name, proxy in proxies.items():
                limits = Limits(tolerance_s=HELD_UP_S + (0.3 if name == "half-open" else 0.0))
                port = await roads.start(proxy.run)
                hit[name] = Watched(name, port, limits, network_fails=True, context=ends.context)
            for each in (*unharmed, *hit.values()):
                nursery.start_soon(each.live, LIVE_S)
            await trio.sleep(FAULT_S)
            before = {name: each.takes for name, each in hit.items()}
            for name, fault in faults.items():
                await _do(fault, proxies[name])
        assert [each.broken() for each in (*unharmed, *hit.values())] == [[]] * 7
        assert {n: w.connections for n, w in hit.items()} == dict.fromkeys(hit, 2) | {
            "half-open": 1
        }
        assert all(hit[name].takes > before[name] for name in faults)
        assert {each.connections for each in unharmed} == {1}
        roads.cancel_scope.cancel()


async def _do(fault: object, proxy: Proxy) -> None:
    assert callable(fault)
    waits = fault(proxy)
    if waits is not None:
        await waits


async def test_nothing_is_left_when_all_have_gone(ends: Ends) -> None:
    async with open_house(secure=ends.secure) as house, trio.open_nursery() as roads:
        proxy = Proxy(house.port, Weather(latency_s=0.01))
        port = await roads.start(proxy.run)
        gone = [
            Watched(f"gone-{n}", port, STRICT, network_fails=True, context=ends.context)
            for n in range(5)
        ]
        async with trio.open_nursery() as nursery:
            for each in gone:
                nursery.start_soon(each.live, LIVE_S)
            await wait_until(lambda: (house.connections, len(house.devices.by_id)) == (5, 5))
            proxy.reset()
        await wait_until(lambda: not (house.connections or house.devices.by_id or proxy.roads))
        roads.cancel_scope.cancel()
