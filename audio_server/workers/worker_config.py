"""The configuration of every worker: the first bytes on the socket to its node.

The supervisor writes them before the process is there, so a worker knows how to log before it runs
a loop. Its clips come later, from the cluster.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from audio_server.settings import Settings

_SIZE = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The same for all workers of a server."""

    settings: Settings
    workers: int
    registry_fd: int = -1
    """The file of `SharedRegistry`, which workers inherit."""

    def pack(self) -> bytes:
        """Return the bytes that `read_config` reads."""
        data = pickle.dumps(self, pickle.HIGHEST_PROTOCOL)
        return _SIZE.pack(len(data)) + data


def read_config(fd: int) -> WorkerConfig:
    """Return the configuration of this process. Blocks, and reads nothing after it."""
    (size,) = _SIZE.unpack(_read(fd, _SIZE.size))
    config = pickle.loads(_read(fd, size))
    assert isinstance(config, WorkerConfig)
    return config


def _read(fd: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = os.read(fd, size - len(data))
        if not part:
            raise EOFError("the supervisor is gone")
        data += part
    return data


@contextmanager
def nameless_file() -> Iterator[int]:
    """A file in memory that processes can inherit; closed with the block."""
    fd = _new_file()
    try:
        yield fd
    finally:
        os.close(fd)


def _new_file() -> int:
    if sys.platform == "linux":
        return os.memfd_create("audio-server")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
