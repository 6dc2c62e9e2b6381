"""Places for connections of the pages: a bounded number, and a share of it for each address.

A new connection always gets a place while another one can give way: the oldest that has sent no
request, else the one that is idle for longest, else the oldest whose request is still coming. So
silent connections, however many, keep no probe (`/readyz`) and no operator out. An address that has
used up its share gives way to itself alone. And an address whose connections end without a request
that was let in may open only so many of them in a while; those of operators cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final, Literal, NamedTuple, TypeAlias

from audio_server.rpc.admission import client_network
from audio_server.rpc.limits import Limits
from audio_server.rpc.rate_limit import Buckets, Rate
from audio_server.rpc.trusted_proxies import PeerLimits
from audio_server.settings.addresses import is_loopback
from audio_server.web.visit import Stage, Visit

CONNECTIONS_MAX: Final = 1024
"""At the same time, half of them from one address unless it is loopback: devices need the files of
the process too, and a browser opens six for its requests and one for each page that is open."""

RESERVED: Final = 64
"""Places that requests which are served leave to others: connections there can give way, so that a
probe always finds a place."""

FRUITLESS: Final[Rate] = (200, 20)
"""Connections of one address (not of loopback) that end with no request that was let in: as many at
once and each second as the gRPC port allows, since each may have cost a TLS handshake."""

Reason: TypeAlias = Literal["full", "address", "rate"]

REASONS: Final[dict[Reason, str]] = {
    "full": "too many connections",
    "address": "too many connections from one address",
    "rate": "too many connections without a valid request from one address",
}

_YIELDING: Final = (Stage.SILENT, Stage.IDLE, Stage.ASKING)


class Entrance(NamedTuple):
    """`visit` is None where there is no place, for the `reason`; `evicted` gave way."""

    visit: Visit | None
    reason: Reason | None = None
    evicted: Visit | None = None


class Places:
    """The visits that have a place. It calls `end` of a visit that has to give way, once.

    A proxy that `peers` trusts stands for many clients: it may take as much as this machine itself.
    """

    def __init__(self, peers: PeerLimits | None = None) -> None:
        self._peers = peers or PeerLimits(Limits())
        self._by_stage: dict[Stage, dict[Visit, None]] = {stage: {} for stage in Stage}
        self._by_place: dict[str, dict[Visit, None]] = {}
        self._fruitless = Buckets(FRUITLESS)

    def __len__(self) -> int:
        return sum(map(len, self._by_stage.values()))

    def enter(self, host: str, end: Callable[[], None], now: float) -> Entrance:
        """A place for a new connection from `host`; `leave` gives it back."""
        place = client_network(host)
        is_proxy = self._peers.of(host) is self._peers.of_proxies
        is_near = is_proxy or is_loopback(host) or is_loopback(place)
        if not is_near and not self._fruitless.has_token(place, now):
            return Entrance(None, "rate")
        evicted, reason = self._make_room(place, is_near)
        if reason is not None:
            return Entrance(None, reason)
        visit = Visit(place, end, self._move, self._may_serve, is_near=is_near)
        self._by_stage[visit.stage][visit] = None
        self._by_place.setdefault(place, {})[visit] = None
        return Entrance(visit, None, evicted)

    def leave(self, visit: Visit, now: float) -> None:
        """A connection is over, also one that gave way. Once."""
        self._forget(visit)
        if not visit.is_known and not visit.is_near:
            self._fruitless.of(visit.place, now).take(now)

    def _may_serve(self) -> bool:
        return len(self._by_stage[Stage.SERVED]) < CONNECTIONS_MAX - RESERVED

    def _make_room(self, place: str, is_near: bool) -> tuple[Visit | None, Reason | None]:
        here = self._by_place.get(place, {})
        if not is_near and len(here) >= CONNECTIONS_MAX // 2:
            oldest = min(
                (one for one in here if one.stage in _YIELDING),
                key=attrgetter("stage"),
                default=None,
            )
            return self._evict(oldest, "address")
        if len(self) < CONNECTIONS_MAX:
            return None, None
        firsts = (next(iter(self._by_stage[stage]), None) for stage in _YIELDING)
        return self._evict(next(filter(None, firsts), None), "full")

    def _evict(self, visit: Visit | None, reason: Reason) -> tuple[Visit | None, Reason | None]:
        if visit is None:
            return None, reason
        self._forget(visit)
        visit.end()
        return visit, None

    def _forget(self, visit: Visit) -> None:
        if visit not in self._by_stage[visit.stage]:
            return
        del self._by_stage[visit.stage][visit]
        here = self._by_place[visit.place]
        del here[visit]
        if not here:
            del self._by_place[visit.place]

    def _move(self, visit: Visit) -> None:
        for visits in self._by_stage.values():
            if visit in visits:
                del visits[visit]
                self._by_stage[visit.stage][visit] = None
                return
