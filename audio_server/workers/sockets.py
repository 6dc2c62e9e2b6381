"""One port for many processes: reserved by the supervisor, listened on by each worker."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

import trio

from audio_server.process.addresses import BACKLOG, Address, bind_all, bound_socket, share

PORT_MAX = 65_535


@contextmanager
def reserved(addresses: Sequence[Address]) -> Iterator[list[Address]]:
    """Keep a port for workers as long as the block lasts; gives the addresses with their port.

    As `process.addresses.open_listeners`, but no connections are taken. Raises `OSError` for an
    address that is in use, by workers of another server too.
    """
    with ExitStack() as stack:
        socks = [stack.enter_context(sock) for sock in bind_all(addresses, _reserved)]
        yield [Address(sock.family, sock.getsockname()) for sock in socks]


@contextmanager
def reserved_each(
    addresses: Sequence[Address], first_port: int, workers: int
) -> Iterator[dict[int, list[Address]]]:
    """Keep a port for each worker alone, by its number from 1: `first_port` and those above.

    Gives no addresses where `first_port` is 0. Raises `OSError`, as `reserved` does.
    """
    numbers = range(1, workers + 1)
    if not first_port:
        yield {number: [] for number in numbers}
        return
    last_port = first_port + workers - 1
    if last_port > PORT_MAX:
        text = f"{workers} workers need ports up to {last_port}: choose a lower first one"
        raise OSError(errno.EADDRNOTAVAIL, text, "--worker-ports")
    if any(first_port <= address.port <= last_port for address in addresses):
        text = f"{first_port} to {last_port} include the port that all share: choose others"
        raise OSError(errno.EADDRINUSE, text, "--worker-ports")
    with ExitStack() as stack:
        yield {
            number: stack.enter_context(
                reserved([address.at_port(first_port + number - 1) for address in addresses])
            )
            for number in numbers
        }


def _reserved(address: Address) -> socket.socket:
    sock = bound_socket(address)
    try:
        share(sock)  # only now: bound with it, the port could be shared with other programs
    except BaseException:
        sock.close()
        raise
    return sock


class WorkerSockets:
    """The sockets of one worker's process, which inherits them and alone listens on them.

    The supervisor keeps them too, so that it can take the port from a worker that hangs: as long
    as one listens, the kernel gives it its share of all new connections.
    """

    def __init__(self, addresses: Sequence[Address]) -> None:
        """Bind them. Raises `OSError`."""
        self._socks = bind_all(addresses, _unheard) if addresses else []

    @property
    def fds(self) -> list[int]:
        """The files that the process inherits."""
        return [sock.fileno() for sock in self._socks]

    def close(self) -> None:
        """Keep new connections from the process, in whatever state it is."""
        for sock in self._socks:
            silence(sock)
            sock.close()
        self._socks.clear()


def _unheard(address: Address) -> socket.socket:
    return bound_socket(address, shared=True)


def listen(fds: Sequence[int]) -> list[SharedListener]:
    """Listen on inherited sockets. Raises `OSError`."""
    return [SharedListener(socket.socket(fileno=fd)) for fd in fds]


class SharedListener(trio.abc.Listener[trio.SocketStream]):
    """A listener on a socket that another process has too: closing it silences the socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.listen(BACKLOG)
        self.socket = trio.socket.from_stdlib_socket(sock)
        self._accepting = trio.SocketListener(self.socket)

    async def accept(self) -> trio.SocketStream:
        """As that of `trio.SocketListener`."""
        return await self._accepting.accept()

    async def aclose(self) -> None:
        """Listen no more, here and in the other process."""
        if self.socket.fileno() >= 0:
            silence(self.socket)
        await self._accepting.aclose()


def silence(sock: socket.socket | trio.socket.SocketType) -> None:
    """Stop listening on a socket, in every process that has it."""
    with suppress(OSError):  # it did not listen
        sock.shutdown(socket.SHUT_RDWR)
