"""One address for many processes: reserved by the supervisor, listened on by each worker."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import trio

BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel has a bound of its own."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a socket is bound to."""

    family: socket.AddressFamily
    name: Any
    """As the socket module has it for the family: host, port and more."""

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.name[1])


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses that a host name stands for. Raises `OSError` where it has none."""
    found = await trio.socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [Address(family, name) for family, _, _, _, name in found]


@contextmanager
def reserved(addresses: Sequence[Address]) -> Iterator[list[Address]]:
    """Keep a port for workers as long as the block lasts; gives the addresses with their port.

    A free port is found once if it is 0, the same for all addresses. Raises `OSError` for an
    address that is in use, by workers of another server too.
    """
    with ExitStack() as stack:
        taken: list[Address] = []
        for address in addresses:
            if taken and address.port == 0:
                address = _with_port(address, taken[0].port)
            sock = stack.enter_context(_bind(address))
            # Set only now: bound with it, the port could be shared with strangers.
            sock.setsockopt(socket.SOL_SOCKET, _reuse_port(), 1)
            taken.append(Address(address.family, sock.getsockname()))
        yield taken


def listen(addresses: Sequence[Address]) -> list[trio.SocketListener]:
    """Listen on addresses that are reserved, beside other processes. Raises `OSError`."""
    return [trio.SocketListener(_listen(address)) for address in addresses]


def _listen(address: Address) -> trio.socket.SocketType:
    sock = _bind(address, shared=True)
    try:
        sock.listen(BACKLOG)
        return trio.socket.from_stdlib_socket(sock)
    except BaseException:
        sock.close()
        raise


def _bind(address: Address, *, shared: bool = False) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, _reuse_port(), 1)
        sock.bind(address.name)
    except BaseException:
        sock.close()
        raise
    return sock


def _reuse_port() -> int:
    """The option by which processes share a port. Raises `OSError` where there is none."""
    option: int | None = getattr(socket, "SO_REUSEPORT", None)
    if option is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    return option


def _with_port(address: Address, port: int) -> Address:
    host, _, *rest = address.name
    return Address(address.family, (host, port, *rest))
