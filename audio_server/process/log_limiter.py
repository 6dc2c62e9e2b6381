"""Bounds on how many lines of log a peer, a device or a repeated fault can cause.

The rule is in the log's own chain, so that it holds for every event, whichever module logs it: an
event that a peer can cause carries `peer`, the address it comes from, with or without a port, or
`device`, the id.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, MutableMapping
from ipaddress import ip_address
from typing import Any

import structlog

from audio_server.rpc.admission import client_network
from audio_server.rpc.rate_limit import Buckets, Rate, TokenBucket

EACH: Rate = (10, 0.1)
"""Lines of one source: at once, and a second in the long run."""

TOTAL: Rate = (100, 1.0)
"""Lines of all sources together."""

EACH_DEVICE: Rate = (20, 0.5)
"""Lines about the life of one device, which is no fault."""

ALL_DEVICES: Rate = (100, 20.0)
"""The same of all devices together: 6 ms of CPU at once, and about a thousandth of a core."""

OURS = "audio_server."
"""Loggers of our own in the standard library: they speak of files, once each."""

Clock = Callable[[], float]


class LogLimiter:
    """Decides which of many events are logged: few of each source, and few in all.

    `now` never goes back. Memory is bounded by the events that `total` lets through.
    """

    def __init__(self, each: Rate = EACH, total: Rate = TOTAL) -> None:
        self._each = Buckets(each)
        self._total_rate = total
        self._total: TokenBucket | None = None
        self._dropped = 0

    def take(self, source: str, now: float) -> int | None:
        """Return how many events were dropped since the last line, or None to drop this one."""
        if self._total is None:
            self._total = TokenBucket(self._total_rate, now)
        # The total comes first: a flood from made-up addresses must not make a bucket for each.
        if not (self._total.has_token(now) and self._each.of(source, now).take(now)):
            self._dropped += 1
            return None
        self._total.spend()
        dropped, self._dropped = self._dropped, 0
        return dropped


class FaultLimiter:
    """A processor of structlog and a filter of `logging` that drop events past the rates.

    Peers and devices share one total, so that they cannot use up the lines of faults of our own
    and of libraries, which share the other one. All other events pass. Thread-safe.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._peers = LogLimiter()
        self._faults = LogLimiter()
        self._lock = threading.RLock()  # reentrant: a finalizer may log in the middle of `take`

    def __call__(self, _: Any, method: str, event: MutableMapping[str, Any]) -> Any:
        """Pass an event on, with the number dropped before it; raise `DropEvent` to drop it."""
        limiter, source = self._limiter_for(method, event)
        if limiter is None:
            return event
        dropped = self._take(limiter, source)
        if dropped is None:
            raise structlog.DropEvent
        if dropped:
            event["not_logged_before"] = dropped
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged: all of ours, and of each library few."""
        if record.name.startswith(OURS):
            return True
        return self._take(self._faults, record.name) is not None

    def _limiter_for(
        self, method: str, event: MutableMapping[str, Any]
    ) -> tuple[LogLimiter | None, str]:
        if (peer := event.get("peer")) is not None:
            return self._peers, client_network(host_of(str(peer)))
        if "device" in event and method not in ("info", "debug"):
            return self._peers, f"device {event['device']}"
        if event.get("exc_info"):
            return self._faults, str(event.get("event"))
        return None, ""

    def _take(self, limiter: LogLimiter, source: str) -> int | None:
        with self._lock:
            return limiter.take(source, self._clock())


def host_of(peer: str) -> str:
    """The host of `HOST` or `HOST:PORT`, also where an IPv6 address stands without brackets.

    A port that could be a group of the address is left in it: the network stays the same.
    """
    try:
        return str(ip_address(peer))
    except ValueError:
        return peer.rpartition(":")[0].strip("[]") or peer
