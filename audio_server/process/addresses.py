"""TCP addresses to listen on: every address of a name, all with one port.

`::` stands for every address of this machine: it is bound beside 0.0.0.0 and not in its stead, so
that clients of IPv4 keep their IPv4 addresses, which limits and logs go by.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import structlog
import trio

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel has a bound of its own."""

EVERY = "::"
EVERY_IPV4 = "0.0.0.0"

_TRIES = 20
"""How often a free port of one address is looked for that is free on all the others too."""

_ABSENT = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""The machine has no such address, or no IPv6 at all."""

_REMEDIES = {
    errno.EADDRINUSE: "choose another port, or stop the program that listens there",
    errno.EACCES: "choose a port above 1023, or grant the right to bind lower ones",
    errno.EADDRNOTAVAIL: "choose an address of this machine; 0.0.0.0 is every IPv4 address",
    errno.EAFNOSUPPORT: "choose an IPv4 address; 0.0.0.0 is every one",
}

_CHOOSE = "choose an address of this machine, or a name that has one"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a socket."""

    family: socket.AddressFamily
    name: Any
    """As the socket module has it for the family: host, port and more."""

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.name[1])

    def at_port(self, port: int) -> Address:
        """Return the same address with another port."""
        host, _, *rest = self.name
        return Address(self.family, (host, port, *rest))

    def __str__(self) -> str:
        host, port = self.name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


Make = Callable[[Address], socket.socket]


async def resolve(host: str, port: int) -> list[Address]:
    """Return the addresses that a host stands for, each once.

    Raises `OSError`, whose file name is `host`, where there is none.
    """
    hosts = [EVERY, EVERY_IPV4] if host in (EVERY, "") else [host]
    try:
        found = [
            Address(family, name)
            for each in hosts
            for family, _, _, _, name in await trio.socket.getaddrinfo(
                each, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        ]
    except socket.gaierror as error:
        raise OSError(error.errno, f"{error.strerror}: {_CHOOSE}", host) from error
    except ValueError as error:  # a label that is too long or empty, a NUL
        raise OSError(errno.EINVAL, f"not a host name: {_CHOOSE}", host) from error
    return list(dict.fromkeys(found))


async def open_listeners(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on every address of a host; a port of 0 becomes a free one, the same for all.

    Addresses that this machine does not have are left out as long as there is another. Raises
    `OSError`, which names the address, the problem and the remedy.
    """
    socks = bind_all(await resolve(host, port), listening_socket)
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in socks]


def bind_all(addresses: Sequence[Address], make: Make) -> list[socket.socket]:
    """Return a socket of `make` for each address; see `open_listeners`. The caller closes them."""
    for _ in range(_TRIES - 1):
        try:
            return _bind_all(addresses, make)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or addresses[0].port:
                raise
    return _bind_all(addresses, make)


def _bind_all(addresses: Sequence[Address], make: Make) -> list[socket.socket]:
    absent: list[OSError] = []
    socks: list[socket.socket] = []
    with ExitStack() as made:
        for address in addresses:
            port = address.port or (socks[0].getsockname()[1] if socks else 0)
            try:
                socks.append(made.enter_context(_named(make, address.at_port(port))))
            except OSError as error:
                if error.errno not in _ABSENT:
                    raise
                absent.append(error)
        if not socks:
            raise absent[0]
        made.pop_all()
    for left_out in absent:
        reason = os.strerror(left_out.errno or 0)
        log.info("address left out", address=left_out.filename, reason=reason)
    return socks


def _named(make: Make, address: Address) -> socket.socket:
    """Make a socket; an error names the address, the problem and the remedy."""
    try:
        return make(address)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0)
        text = f"{reason}: {remedy}" if remedy else reason
        raise OSError(error.errno, text, str(address)) from error


def listening_socket(address: Address) -> socket.socket:
    """Return a socket that listens. Raises `OSError`."""
    sock = bound_socket(address)
    try:
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def bound_socket(address: Address, *, shared: bool = False) -> socket.socket:
    """Return a socket that has the address and takes no connections. Raises `OSError`."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            share(sock)
        sock.bind(address.name)
    except BaseException:
        sock.close()
        raise
    return sock


def share(sock: socket.socket) -> None:
    """Let other processes listen on the address of a socket. Raises `OSError` where none can."""
    option: int | None = getattr(socket, "SO_REUSEPORT", None)
    if option is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    sock.setsockopt(socket.SOL_SOCKET, option, 1)
