"""Ports for servers that are told theirs, and keep it when they are started again."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

BELOW_CLIENTS = (12_000, 32_000)
"""From 32768 on the system gives ports to clients, at any moment."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody has, and no client will get."""
    while True:
        port = random.randrange(*BELOW_CLIENTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
