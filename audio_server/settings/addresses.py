"""Addresses to listen on and to connect to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

OFF = "off"
"""The value of a setting that switches a part off."""


class Address(NamedTuple):
    """A host or address, and a TCP port; 0 takes a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address | None:
    """Return the address of the setting `http`; None for off.

    Raises `ValueError` for any other text, the user's fault.
    """
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
    """Return whether a name or address always means this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Return the host to connect to from this machine, where a server listens on `host`."""
    return "127.0.0.1" if host in ("::", "0.0.0.0", "") else host
