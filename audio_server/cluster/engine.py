"""Where the engine of the cluster is, as its URL says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

PORT, SENTINEL_PORT = 6379, 26379

_SCHEMES = {
    "redis": (False, False),
    "rediss": (True, False),
    "redis+sentinel": (False, True),
    "rediss+sentinel": (True, True),
}
"""Whether a scheme means TLS, and whether it means Sentinel."""

FORM = "redis[s]://[USER@]HOST[:PORT], or redis[s]+sentinel://[USER@]HOST[:PORT],.../PRIMARY"


class Place(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Engine:
    """The address of the engine, or those of the Sentinels that know it; it holds no secret."""

    places: tuple[Place, ...]
    is_tls: bool = False
    user: str | None = None
    primary: str | None = None
    """The name that the Sentinels have for it; None where the place is its own."""

    def __str__(self) -> str:
        return ",".join(map(str, self.places)) + (f"/{self.primary}" if self.primary else "")


def parse_engine(url: str) -> Engine:
    """Return the engine of a URL.

    Raises `ValueError`, the user's fault, for any other text. No message repeats the URL, which may
    hold a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"the form is {FORM}") from None
    if parts.scheme not in _SCHEMES or not parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"the form is {FORM}")
    user, _, hosts = parts.netloc.rpartition("@")
    if ":" in user:
        raise ValueError(
            "a password in a URL is seen by others on the machine; name its file with "
            "--cluster-password-file"
        )
    is_tls, is_sentinel = _SCHEMES[parts.scheme]
    port = SENTINEL_PORT if is_sentinel else PORT
    places = tuple(_place(text, port) for text in hosts.split(","))
    if not is_sentinel and len(places) > 1:
        raise ValueError("several hosts are for Sentinels: redis+sentinel://HOST,HOST/PRIMARY")
    return Engine(places, is_tls, unquote(user) or None, _primary(parts, is_sentinel))


def _primary(parts: SplitResult, is_sentinel: bool) -> str | None:
    name = unquote(parts.path.removeprefix("/"))
    if not is_sentinel:
        if name not in ("", "0"):
            raise ValueError("the cluster is in database 0; no other one can be chosen")
        return None
    if not name or not name.isprintable() or " " in name:
        raise ValueError(
            "the Sentinels need the primary's name: redis+sentinel://HOST,HOST/PRIMARY"
        )
    return name


def _place(text: str, default: int) -> Place:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not host.isprintable() or " " in host or port == 0:
        raise ValueError(f"the form is {FORM}")
    return Place(host, port or default)
