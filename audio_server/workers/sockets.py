"""One port for many processes: reserved by the supervisor, listened on by each worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import trio

from audio_server.process.addresses import (
    Address,
    bind_all,
    bound_socket,
    share,
    shared_socket,
)


@contextmanager
def reserved(addresses: Sequence[Address]) -> Iterator[list[Address]]:
    """Keep a port for workers as long as the block lasts; gives the addresses with their port.

    As `process.addresses.open_listeners`, but no connections are taken. Raises `OSError` for an
    address that is in use, by workers of another server too.
    """
    with ExitStack() as stack:
        socks = [stack.enter_context(sock) for sock in bind_all(addresses, _reserved)]
        yield [Address(sock.family, sock.getsockname()) for sock in socks]


def _reserved(address: Address) -> socket.socket:
    sock = bound_socket(address)
    try:
        share(sock)  # only now: bound with it, the port could be shared with strangers
    except BaseException:
        sock.close()
        raise
    return sock


def listen(addresses: Sequence[Address]) -> list[trio.SocketListener]:
    """Listen on addresses that are reserved, beside other processes. Raises `OSError`."""
    socks = bind_all(addresses, shared_socket)
    return [trio.SocketListener(trio.socket.from_stdlib_socket(sock)) for sock in socks]
