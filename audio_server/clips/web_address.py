"""The addresses to which the URL of a stream may lead: by a redirect, a list, or a part of it.

A stream comes from a stranger, and is opened by a program of the user's own, which can read the
user's files and reach the hosts of the user's network. So it leads to HTTP alone, to the host that
the user has named, and to others only where the user allows them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urljoin, urlsplit

from audio_server.clips.errors import ClipError

PROTOCOLS = ("http", "https")
"""All that are read, whatever FFmpeg could."""

_FOREIGN = re.compile(r"\s*(?!https?://)[^/?#]*:", re.IGNORECASE)
"""The first part of a relative address has no colon (RFC 3986, section 4.2)."""

OPTION = "--allow-host"


class AddressRefused(ClipError):
    """A URL leads to an address that the user has not allowed."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """`url` is the user's own; `hosts` are names of other hosts, in which `*` stands for any
    text."""

    url: str
    hosts: tuple[str, ...] = ()

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
            raise AddressRefused(name, f"leads to another host ({OPTION} {host} allows it)")
        if own_protocol == "https" != protocol:
            raise AddressRefused(name, f"leads to http without TLS ({OPTION} {host} allows it)")


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


def _parts(url: str) -> tuple[str, str]:
    """Return protocol and host in small letters, empty for a text that is no URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower()
    except ValueError:
        return "", ""
