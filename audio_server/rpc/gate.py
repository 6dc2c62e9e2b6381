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

from audio_server.rpc.limits import Limits
from audio_server.rpc.meter import Meter
from audio_server.rpc.rates import Buckets

log = structlog.get_logger()


class Gate:
    """Counts connections. A stranger is a connection that has not yet said who it is."""

    def __init__(self, limits: Limits, meter: Meter | None = None) -> None:
        self._limits = limits
        self._meter = meter or Meter()
        self._inside = 0
        self._strangers: Counter[str] = Counter()
        self._fruitless = Buckets(limits.fruitless)
        self.refused: Counter[str] = Counter()
        """How many were turned away, by reason."""

    def enter(self, host: str) -> Pass | None:
        """A pass for a new connection from `host`, or None when it is to be closed at once."""
        place = place_of(host)
        reason = self._objection(place)
        if reason is not None:
            self._refuse(reason, host)
            return None
        self._inside += 1
        self._strangers[place] += 1
        return Pass(self, place)

    def _objection(self, place: str) -> str | None:
        if self._inside >= self._limits.max_connections:
            return "too many connections"
        if self._strangers.get(place, 0) >= self._limits.max_strangers:
            return "too many strangers from one address"
        if not self._fruitless.has_token(place, trio.current_time()):
            return "too many fruitless connections from one address"
        return None

    def _refuse(self, reason: str, host: str) -> None:
        self.refused[reason] += 1
        self._meter.connection_refused(reason.replace(" ", "_"))
        log.warning("connection refused", peer=host, reason=reason, refused=self.refused.total())

    def know(self, place: str) -> None:
        """One stranger fewer at a place."""
        self._strangers[place] -= 1
        if not self._strangers[place]:
            del self._strangers[place]

    def came_to_nothing(self, place: str) -> None:
        """A stranger has left as a stranger."""
        now = trio.current_time()
        self._fruitless.of(place, now).take(now)

    def leave(self) -> None:
        """One connection fewer."""
        self._inside -= 1


class Pass:
    """One connection's place inside; it gives it back by `leave`."""

    __slots__ = ("_gate", "_place", "_stranger")

    def __init__(self, gate: Gate, place: str) -> None:
        self._gate = gate
        self._place = place
        self._stranger = True

    def know(self) -> None:
        """The connection has said who it is, and that is so. Any number of times."""
        if self._stranger:
            self._stranger = False
            self._gate.know(self._place)

    def leave(self) -> None:
        """The connection is over. Once."""
        if self._stranger:
            self._gate.came_to_nothing(self._place)
        self.know()
        self._gate.leave()


def place_of(host: str) -> str:
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
