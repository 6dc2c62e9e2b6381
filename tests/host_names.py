"""A name with an address of each family, whatever the machine's own names are."""

from __future__ import annotations

import errno
import socket
from typing import Any

import trio

BOTH = "both"


class Names(trio.abc.HostnameResolver):
    """Knows `BOTH` alone, as 127.0.0.1 and ::1, each twice."""

    async def getaddrinfo(self, host: Any, port: Any, *more: Any) -> Any:
        """As the socket module's."""
        if host != BOTH.encode():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = [
            (socket.AF_INET, ("127.0.0.1", port)),
            (socket.AF_INET6, ("::1", port, 0, 0)),
        ]
        return [(family, socket.SOCK_STREAM, 6, "", name) for family, name in 2 * found]

    async def getnameinfo(self, *_: Any) -> Any:
        """Nobody asks."""
        raise NotImplementedError


def has_ipv6() -> bool:
    """Whether this machine has a loopback address of IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError as error:
        if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return False
        raise
