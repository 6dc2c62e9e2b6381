"""Admission of connections: a bound in total, and bounds for each client network.

Only connections that close unauthenticated consume their network's tokens. Devices cost nothing, so
that any number of them may come back through one address (NAT, a proxy) as often as they like.
Where others at that address have spent all tokens, devices that are connected stay, and a device
that connects then is admitted at a later try, since tokens come back all the time.

When the server is full, the oldest unauthenticated connection gives way to a newer one: however
many are silent, a newcomer has as long to authenticate as it takes to open as many again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

import structlog
import trio

from audio_server.rpc.instrumentation import Instrumentation
from audio_server.rpc.limits import Limits
from audio_server.rpc.rate_limit import Buckets, Rate
from audio_server.rpc.trusted_proxies import PeerLimits

log = structlog.get_logger()

CLIENT_PREFIX_BITS = 56
"""Of an IPv6 address. Providers delegate a /56 to a customer (RIPE-690), so that one client has
256 networks of 64 bits."""

UNKNOWN_CLIENT = "unknown"
"""The network of clients that a proxy has still to name."""


class ConnectionLimiter:
    """Counts connections; one is unauthenticated until it has said and proved its identity."""

    def __init__(self, limits: Limits | PeerLimits, meter: Instrumentation | None = None) -> None:
        self._limits = limits if isinstance(limits, PeerLimits) else PeerLimits(limits)
        self._meter = meter or Instrumentation()
        self._open = 0
        self._unauthenticated: dict[Slot, None] = {}  # oldest first
        self._per_network: Counter[str] = Counter()  # of these
        self._abandoned: dict[Rate, Buckets] = {}
        self.refused: Counter[str] = Counter()
        """How many were turned away, by reason."""

    def enter(self, host: str) -> Slot | None:
        """Return the slot of a new connection from `host`, or None to close it at once.

        If the server is full, another connection may lose its slot for it.
        """
        network, limits = client_network(host), self._limits.of(host)
        reason = self._objection(network, limits) or self._lack_of_room(limits)
        if reason is not None:
            self._refuse(reason, host)
            return None
        return self._make(host, network, limits)

    def enter_proxied(self, proxy: str) -> Slot | None:
        """As `enter`, for a connection of a proxy that is still to name its client.

        Until `locate` it counts in all, and for no address.
        """
        limits = self._limits.of(proxy)
        if (reason := self._lack_of_room(limits)) is not None:
            self._refuse(reason, proxy)
            return None
        return self._make(proxy, UNKNOWN_CLIENT, limits)

    def locate(self, slot: Slot, host: str) -> bool:
        """Count a connection of `enter_proxied` for its client from now on.

        False, with nothing changed, if one more is too many for that address, or if the slot is
        no longer held.
        """
        if not slot.is_held:
            return False
        network, limits = client_network(host), self._limits.of(host)
        if (reason := self._objection(network, limits)) is not None:
            self._refuse(reason, host)
            return False
        self._count_out(slot)
        slot.host, slot.network = host, network
        slot.abandoned = self._abandoned_at(limits.abandoned)
        self._per_network[network] += 1
        return True

    def _make(self, host: str, network: str, limits: Limits) -> Slot:
        self._open += 1
        self._per_network[network] += 1
        slot = Slot(self, host, network, self._abandoned_at(limits.abandoned))
        self._unauthenticated[slot] = None
        return slot

    def _lack_of_room(self, limits: Limits) -> str | None:
        if self._open >= limits.max_connections and not self.make_room():
            return "too many connections"
        return None

    def _objection(self, network: str, limits: Limits) -> str | None:
        if self._per_network.get(network, 0) >= limits.max_unauthenticated:
            return "too many unauthenticated connections from one address"
        if not self._abandoned_at(limits.abandoned).has_token(network, trio.current_time()):
            return "too many abandoned connections from one address"
        return None

    def _abandoned_at(self, rate: Rate) -> Buckets:
        """The tokens of networks that have this rate."""
        if rate not in self._abandoned:
            self._abandoned[rate] = Buckets(rate)
        return self._abandoned[rate]

    def _refuse(self, reason: str, host: str) -> None:
        self.refused[reason] += 1
        self._meter.connection_refused(reason.replace(" ", "_"))
        log.warning("connection refused", peer=host, reason=reason, refused=self.refused.total())

    def make_room(self) -> bool:
        """End the oldest unauthenticated connection; False if there is none."""
        oldest = next(iter(self._unauthenticated), None)
        if oldest is None:
            return False
        log.info("connection gave way to a newer one", peer=oldest.host)
        self._meter.connection_dropped("gave_way")
        oldest.give_way()
        return True

    def forget(self, slot: Slot) -> None:
        """A connection is unauthenticated no more."""
        del self._unauthenticated[slot]
        self._count_out(slot)

    def _count_out(self, slot: Slot) -> None:
        self._per_network[slot.network] -= 1
        if not self._per_network[slot.network]:
            del self._per_network[slot.network]

    def leave(self, slot: Slot) -> None:
        """A connection has ended, or gives way."""
        self._open -= 1
        if slot in self._unauthenticated:
            if slot.network != UNKNOWN_CLIENT:
                now = trio.current_time()
                slot.abandoned.of(slot.network, now).take(now)
            self.forget(slot)


class Slot:
    """One connection's place, given back by `leave`."""

    __slots__ = ("_end", "_is_authenticated", "_limiter", "abandoned", "host", "network")

    def __init__(
        self, limiter: ConnectionLimiter, host: str, network: str, abandoned: Buckets
    ) -> None:
        self._limiter: ConnectionLimiter | None = limiter
        self._is_authenticated = False
        self._end: Callable[[], None] | None = None
        self.host = host
        self.network = network
        self.abandoned = abandoned

    @property
    def is_held(self) -> bool:
        """Whether the connection still has it."""
        return self._limiter is not None

    def end_with(self, end: Callable[[], None]) -> None:
        """Have `end` called when the connection is to give way; it must not block."""
        if self._is_authenticated:
            return
        self._end = end

    def authenticated(self) -> None:
        """The connection has proved its identity; it never gives way. Any number of times."""
        if self._limiter is not None and not self._is_authenticated:
            self._limiter.forget(self)
        self._is_authenticated = True
        self._end = None  # which leads back here: a cycle (`process.gc_policy`)

    def leave(self) -> None:
        """Give the place back. Any number of times."""
        limiter, self._limiter = self._limiter, None
        self._end = None
        if limiter is not None:
            limiter.leave(self)

    def give_way(self) -> None:
        """Give the place back at once and have the connection ended."""
        end = self._end
        self.leave()
        if end is not None:
            end()


@lru_cache(1024)
def client_network(host: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or a /56 of IPv6."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    host_bits = address.max_prefixlen - CLIENT_PREFIX_BITS
    return str(IPv6Network((int(address) >> host_bits << host_bits, CLIENT_PREFIX_BITS)))
