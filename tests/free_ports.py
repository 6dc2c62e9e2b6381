"""Ports for servers that are told theirs, and keep it when they are started again."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

BELOW_CLIENTS = (12_000, 32_000)
"""From 32768 on the system gives ports to clients, at any moment."""


def free_ports(count: int) -> int:
    """The first of so many TCP ports in a row, as `free_port`."""
    while True:
        port = random.randrange(*BELOW_CLIENTS)
        with ExitStack() as taken, suppress(OSError):
            for each in range(port, port + count):
                taken.enter_context(socket.create_server(("127.0.0.1", each)))
            return port


def free_port() -> int:
    """A TCP port of the loopback address that nobody has, and no client will get."""
    while True:
        port = random.randrange(*BELOW_CLIENTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
