"""Limits for proxies that carry many devices over one connection, or from one address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from audio_server.rpc.limits import Limits
from audio_server.rpc.rate_limit import Rate

Network = IPv4Network | IPv6Network

FACTOR = 100
"""One connection of a proxy stands for about as many clients."""

STREAMS = 128
"""nginx and HAProxy multiplex as many calls over a connection unless told otherwise."""

_LARGEST_WINDOW_BYTES = 2**31 - 1


class PeerLimits:
    """The limits that hold for a peer, by its address."""

    def __init__(self, limits: Limits, trusted_proxies: Sequence[Network] = ()) -> None:
        self._trusted_proxies = tuple(trusted_proxies)
        self.ordinary = limits
        self.of_proxies = proxy_limits(limits)

    def of(self, host: str) -> Limits:
        """Return the limits for connections from `host`, an address or any other text."""
        return self.of_proxies if self.is_proxy(host) else self.ordinary

    def is_proxy(self, host: str) -> bool:
        """Return whether `host` is a trusted proxy."""
        return bool(self._trusted_proxies) and is_within(host, self._trusted_proxies)


def is_within(host: str, networks: Sequence[Network]) -> bool:
    """Return whether `host`, an address or any other text, is an address of the networks."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    # A socket that listens to both versions shows IPv4 addresses as mapped ones.
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)


def proxy_limits(limits: Limits) -> Limits:
    """Return the limits of a connection that carries `FACTOR` clients.

    Bounds on one client stay as they are: sizes of messages and headers, the window of a stream,
    times. Bounds on all of them together are as much wider.
    """
    streams = max(limits.max_streams, STREAMS)
    window_bytes = min(streams * limits.stream_window_bytes, _LARGEST_WINDOW_BYTES)
    return replace(
        limits,
        max_streams=streams,
        # So that calls with unread messages cannot use up the window of the others.
        connection_window_bytes=max(limits.connection_window_bytes, window_bytes),
        max_unauthenticated=limits.max_unauthenticated * FACTOR,
        max_unidentified_calls=limits.max_unidentified_calls * FACTOR,
        max_waiting_bytes=limits.max_waiting_bytes * FACTOR,
        max_waiting_answers=limits.max_waiting_answers * FACTOR,
        ping_apart_s=limits.ping_apart_s / FACTOR,
        ping_strikes=limits.ping_strikes * FACTOR,
        abandoned=_wider(limits.abandoned),
        calls=_wider(limits.calls),
        resets=_wider(limits.resets),
        settings=_wider(limits.settings),
        priorities=_wider(limits.priorities),
        window_updates=_wider(limits.window_updates),
        empty_data=_wider(limits.empty_data),
        odd_frames=_wider(limits.odd_frames),
    )


def _wider(rate: Rate) -> Rate:
    burst, per_s = rate
    return burst * FACTOR, per_s * FACTOR
