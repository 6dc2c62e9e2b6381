"""Who may come in: so many connections in all, and of strangers so many from one address, at once
and one after the other.

What an address has spent are visits that came to nothing: a connection that ends as a stranger's.
A device that says who it is costs nothing, so any number of them may come back through one
address (NAT, a proxy) as often as they like. Where strangers at that address have spent it all,
those devices that are inside stay, and one that comes then is let in at a later try: tokens come
back all the time, and go to whoever comes first.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address

import structlog
import trio

from audio_server.rpc.instrumentation import Instrumentation
from audio_server.rpc.limits import Limits
from audio_server.rpc.rate_limit import Buckets

log = structlog.get_logger()


class ConnectionLimiter:
    """Counts connections. A stranger is a connection that has not yet said who it is."""

    def __init__(self, limits: Limits, meter: Instrumentation | None = None) -> None:
        self._limits = limits
        self._meter = meter or Instrumentation()
        self._inside = 0
        self._unauthenticated: Counter[str] = Counter()
        self._abandoned = Buckets(limits.abandoned)
        self.refused: Counter[str] = Counter()
        """How many were turned away, by reason."""

    def enter(self, host: str) -> Slot | None:
        """A pass for a new connection from `host`, or None when it is to be closed at once."""
        network = client_network(host)
        reason = self._objection(network)
        if reason is not None:
            self._refuse(reason, host)
            return None
        self._inside += 1
        self._unauthenticated[network] += 1
        return Slot(self, network)

    def _objection(self, network: str) -> str | None:
        if self._inside >= self._limits.max_connections:
            return "too many connections"
        if self._unauthenticated.get(network, 0) >= self._limits.max_unauthenticated:
            return "too many unauthenticated connections from one address"
        if not self._abandoned.has_token(network, trio.current_time()):
            return "too many abandoned connections from one address"
        return None

    def _refuse(self, reason: str, host: str) -> None:
        self.refused[reason] += 1
        self._meter.connection_refused(reason.replace(" ", "_"))
        log.warning("connection refused", peer=host, reason=reason, refused=self.refused.total())

    def know(self, network: str) -> None:
        """One stranger fewer at a place."""
        self._unauthenticated[network] -= 1
        if not self._unauthenticated[network]:
            del self._unauthenticated[network]

    def came_to_nothing(self, network: str) -> None:
        """A stranger has left as a stranger."""
        now = trio.current_time()
        self._abandoned.of(network, now).take(now)

    def leave(self) -> None:
        """One connection fewer."""
        self._inside -= 1


class Slot:
    """One connection's place inside; it gives it back by `leave`."""

    __slots__ = ("_is_unauthenticated", "_limiter", "_network")

    def __init__(self, limiter: ConnectionLimiter, network: str) -> None:
        self._limiter = limiter
        self._network = network
        self._is_unauthenticated = True

    def know(self) -> None:
        """The connection has said who it is, and that is so. Any number of times."""
        if self._is_unauthenticated:
            self._is_unauthenticated = False
            self._limiter.know(self._network)

    def leave(self) -> None:
        """The connection is over. Once."""
        if self._is_unauthenticated:
            self._limiter.came_to_nothing(self._network)
        self.know()
        self._limiter.leave()


def client_network(host: str) -> str:
    """What counts as one address: of IPv6 the /64 that one customer has to himself."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.exploded[:19]
