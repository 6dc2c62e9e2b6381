"""The names and origins under which a browser may reach the pages, and its address."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from audio_server.settings.addresses import is_loopback


def peer_of(asked: HTTPConnection) -> str:
    """Return the address of a client, for the log."""
    return asked.client.host if asked.client else "local"


def is_own_origin(origin: str | None, host: str | None) -> bool:
    """Return whether a request comes from a page of this server: its origin is the host asked."""
    if not origin or not host:
        return False
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc == host


def may_be_named(host: str | None, *, loopback_only: bool) -> bool:
    """Return whether the header `host` may name this server. A foreign name that resolves to the
    loopback address would let its pages in as if they were ours (DNS rebinding)."""
    if not host:
        return False
    if not loopback_only:
        return True
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
