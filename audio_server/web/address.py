"""Where the pages are, and who may ask for them."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT = "127.0.0.1:8080"
OFF = "off"


class Address(NamedTuple):
    """A host or address, and a TCP port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address | None:
    """The address of the setting `http`; None for off. Raises `ValueError`, the user's fault."""
    if text == OFF:
        return None
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or port is None or not parts.hostname or parts.netloc != text or "@" in text:
        raise ValueError(f'"{text}" is neither off nor HOST:PORT')
    return Address(parts.hostname, port)


def is_loopback(host: str) -> bool:
    """Whether a name or address can be nothing but this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """Whether a page that this server served asks: its origin is the host that is asked."""
    if not origin or not host:
        return False
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc == host


def may_be_named(host: str | None, *, loopback_only: bool) -> bool:
    """Whether a request may call this server `host` (the header). A name that somebody else has
    given to the loopback address would let their pages in as if they were ours."""
    if not host:
        return False
    if not loopback_only:
        return True
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
