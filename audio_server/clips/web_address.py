"""The addresses to which the URL of a stream may lead: by a redirect, a list, or a part of it.

A stream comes from a stranger, and is opened by a program of the user's own, which can read the
user's files and reach the hosts of the user's network. So it leads to HTTP alone, to the host that
the user has named, and to others only where the user allows them; and a name of the web leads to
addresses of the web alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urljoin, urlsplit

from audio_server.clips.errors import ClipError

PROTOCOLS = ("http", "https")
"""All that are read, whatever FFmpeg could."""

_FOREIGN = re.compile(r"\s*(?!https?://)[^/?#]*:", re.IGNORECASE)
"""The first part of a relative address has no colon (RFC 3986, section 4.2)."""

_LOCAL = (".local", ".localhost", ".lan", ".home", ".home.arpa", ".internal", ".localdomain")
"""Ends of names that are resolved by a network of its own (RFC 6761, 6762, 8375, and by use)."""

_WITH_IPV4 = tuple(map(ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
"""Networks whose last 32 bits are an address of IPv4 (RFC 6052, 7915, 4291)."""

_LOCAL_NAT64 = ip_network("64:ff9b:1::/48")
"""Gateways of a network of its own (RFC 8215)."""

OPTION = "--allow-host"


class AddressRefused(ClipError):
    """A URL leads to an address that the user has not allowed."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """`url` is the user's own; `hosts` are names of other hosts, in which `*` stands for any
    text, and `option` is where the user names them."""

    url: str
    hosts: tuple[str, ...] = ()
    option: str = OPTION

    def resolve(self, base: str, link: str) -> str:
        """Return the address of a link in an answer from `base`. Raises `AddressRefused` for one
        with another protocol, also in the forms that only FFmpeg takes for one."""
        if _FOREIGN.match(link):
            kinds = " and ".join(PROTOCOLS)
            reason = f"leads to {shown(link)}, and only {kinds} are followed"
            raise AddressRefused(shown(self.url), reason)
        try:
            return urljoin(base, link)
        except ValueError:
            raise AddressRefused(shown(self.url), "leads to an address that is no URL") from None

    def check_address(self, host: str, address: str) -> None:
        """Raise `AddressRefused` where a name of the web leads to an address of this machine or of
        a private network: its owner says so, and not the user."""
        if _is_of_the_web(address) or _is_local(host):
            return
        host, hosts = host.lower(), [pattern.lower() for pattern in self.hosts]
        if host in hosts or address in hosts:
            return
        reason = (
            f"leads to {address}, which is no address of the web ({self.option} {host} allows it)"
        )
        raise AddressRefused(shown(self.url), reason)

    def check(self, url: str) -> None:
        """Raise `AddressRefused` for an address that may not be opened."""
        name = shown(self.url)
        protocol, host = _parts(url)
        if protocol not in PROTOCOLS:
            kinds = " and ".join(PROTOCOLS)
            raise AddressRefused(name, f"leads to {shown(url)}, and only {kinds} are followed")
        if not host:
            raise AddressRefused(name, f"leads to {shown(url)}, which names no host")
        if any(fnmatchcase(host, pattern.lower()) for pattern in self.hosts):
            return
        own_protocol, own_host = _parts(self.url)
        if host != own_host:
            raise AddressRefused(name, f"leads to another host ({self.option} {host} allows it)")
        if own_protocol == "https" != protocol:
            raise AddressRefused(
                name, f"leads to http without TLS ({self.option} {host} allows it)"
            )


def is_web(source: str) -> bool:
    """Return whether a source is a URL that is read here."""
    return _parts(source)[0] in PROTOCOLS


def shown(url: str) -> str:
    """Return a URL without the password that it may hold."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _is_local(host: str) -> bool:
    """Return whether a host is an address, or its name has no owner in the web."""
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith(_LOCAL) or _address(host) is not None


def _is_of_the_web(address: str) -> bool:
    found = _address(address)
    if isinstance(found, IPv6Address):
        if found.is_site_local or found in _LOCAL_NAT64:
            return False
        found = found.ipv4_mapped or found.sixtofour or _ipv4_in(found) or found
    return found is not None and found.is_global and not found.is_multicast


def _ipv4_in(address: IPv6Address) -> IPv4Address | None:
    """Return the address of IPv4 to which one leads through a gateway."""
    is_one = any(address in network for network in _WITH_IPV4)
    return IPv4Address(int(address) & 0xFFFFFFFF) if is_one else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None


def _parts(url: str) -> tuple[str, str]:
    """Return protocol and host in small letters, empty for a text that is no URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower()
    except ValueError:
        return "", ""
