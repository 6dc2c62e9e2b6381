"""What every worker starts with, handed over in memory.

The clips are those of the supervisor, ready to play: a worker that is started later has the same
clips as its siblings, whatever has become of their folder, and it has them at once.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from audio_server.clips.clip import Clip
from audio_server.settings import Settings
from audio_server.workers.sockets import Address


@dataclass(frozen=True, slots=True)
class Boot:
    """The same for all workers of a server."""

    settings: Settings
    workers: int
    addresses: Sequence[Address]
    clips: Sequence[Clip]
    confirms: bool = False
    """Whether the supervisor says when a mode is kept."""
    board_fd: int = -1
    """The file of `Board`, which workers inherit."""


@contextmanager
def packed(boot: Boot) -> Iterator[int]:
    """A file descriptor that processes which inherit it can `unpack`; closed with the block."""
    with nameless_file() as fd:
        with open(fd, "wb", closefd=False) as file:
            pickle.dump(boot, file, pickle.HIGHEST_PROTOCOL)
        yield fd


def unpack(fd: int) -> Boot:
    """What was packed. Any number of processes may read at the same time."""
    size = os.fstat(fd).st_size
    boot = pickle.loads(os.pread(fd, size, 0))
    assert isinstance(boot, Boot)
    return boot


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
