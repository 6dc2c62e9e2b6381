"""The address of a server, the credentials for it, and the error of all requests to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8080"


class ServerError(Exception):
    """A server refused, could not be reached, or is none; `str()` is the line that says which."""


@dataclass(frozen=True, slots=True)
class Server:
    """`cafile` holds the authorities to trust (PEM) in place of the system's."""

    url: str = DEFAULT_URL
    token: str | None = field(default=None, repr=False)
    cafile: Path | None = None


def check_url(text: str) -> str:
    """The URL without a slash at its end. Raises `ValueError`, the user's fault."""
    wrong = ValueError(f'"{text}" is not http://HOST:PORT or https://HOST:PORT')
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise wrong
    if not text.isascii() or not text.isprintable() or " " in text:
        raise wrong
    if "@" in parts.netloc:
        raise ValueError("a user and a password do not belong in a URL; there is --token-file")
    return text.rstrip("/")
