"""The devices that the inventory gives up first when it is full.

A stranger may invent ids. So the network that has brought the most of these devices loses the one
that was seen longest ago: a stranger with one network only ever gives up its own, unless all others
together are fewer. No operation takes longer with more devices or networks.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address

_NETWORK_BITS = 56  # of IPv6, as for connections: `rpc.admission`


class Expendable:
    """Ids of devices, each with the network that it came from."""

    def __init__(self) -> None:
        self._network_of: dict[str, str] = {}
        self._ids: dict[str, OrderedDict[str, None]] = {}
        self._by_size: dict[int, OrderedDict[str, None]] = {}
        self._largest = 0

    def add(self, device_id: str, network: str) -> None:
        """Add a device as the one seen last."""
        self.discard(device_id)
        self._network_of[device_id] = network
        ids = self._ids.setdefault(network, OrderedDict())
        ids[device_id] = None
        self._resize(network, len(ids) - 1, len(ids))

    def discard(self, device_id: str) -> None:
        """Remove a device, if it is there."""
        network = self._network_of.pop(device_id, None)
        if network is not None:
            ids = self._ids[network]
            del ids[device_id]
            if not ids:
                del self._ids[network]
            self._resize(network, len(ids) + 1, len(ids))

    def give_up(self) -> str | None:
        """Remove and return a device of the largest network; None where there is none."""
        if not self._largest:
            return None
        network = next(iter(self._by_size[self._largest]))
        device_id = next(iter(self._ids[network]))
        self.discard(device_id)
        return device_id

    def _resize(self, network: str, before: int, now: int) -> None:
        if before:
            same = self._by_size[before]
            del same[network]
            if not same:
                del self._by_size[before]
        if now:
            self._by_size.setdefault(now, OrderedDict())[network] = None
        self._largest = max(self._largest, now)
        if self._largest and self._largest not in self._by_size:
            self._largest -= 1  # sizes change by one, so the next smaller one is there


def network_of(address: str | None) -> str:
    """Return the network of `HOST:PORT`: an IPv4 address, a /56 of IPv6, or the text itself."""
    host = (address or "").rpartition(":")[0]
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if ip.version == 6 and ip.ipv4_mapped is None:
        return str(int(ip) >> (128 - _NETWORK_BITS))
    return str(getattr(ip, "ipv4_mapped", None) or ip)
