"""The configuration of every worker, passed in memory.

The clips are those of the supervisor, ready to play: a worker that is started later has the same
clips as its siblings, in whatever state their folder is, and it has them at once. When they change
there is a new file; a file that was written is never written again.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import trio

from audio_server.clips.clip import Clip
from audio_server.settings import Settings

_SIZE = struct.Struct("=Q")


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The same for all workers of a server."""

    settings: Settings
    workers: int
    clips: Sequence[Clip]
    confirms: bool = False
    """Whether the supervisor says when a mode is kept."""
    registry_fd: int = -1
    """The file of `Board`, which workers inherit."""


class Editions:
    """The configuration file of workers, and a new one whenever the clips change.

    `close` it when no worker will be started.
    """

    def __init__(self, boot: WorkerConfig) -> None:
        self._boot = boot
        self._fd = -1

    async def write(self, clips: Sequence[Clip], give: Callable[[int], None]) -> None:
        """Pack with these clips, off the loop, and have the file given to the workers in place of
        the one before it, which is closed then. A cancel changes nothing."""
        fd = _new_file()
        try:
            await trio.to_thread.run_sync(pack, replace(self._boot, clips=clips), fd)
            give(fd)
        except BaseException:
            os.close(fd)
            raise
        self.close()
        self._fd = fd

    def close(self) -> None:
        """Close the newest file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def pack(boot: WorkerConfig, fd: int) -> None:
    """Write it into an empty file. Lets other threads run, however large the clips are."""
    with open(fd, "wb", closefd=False) as file:
        _dump(file, replace(boot, clips=()))
        for clip in boot.clips:
            _dump(file, (replace(clip, frames=b""), len(clip.frames)))
            file.write(clip.frames)


def unpack(fd: int) -> WorkerConfig:
    """Return the packed data. Any number of processes may read at the same time, and other threads
    run meanwhile."""
    size = os.fstat(fd).st_size
    boot, at = _read(fd, 0)
    clips = []
    while at < size:
        (clip, frames_bytes), at = _read(fd, at)
        clips.append(replace(clip, frames=os.pread(fd, frames_bytes, at)))
        at += frames_bytes
    assert isinstance(boot, WorkerConfig)
    return replace(boot, clips=clips)


def _dump(file: BinaryIO, thing: object) -> None:
    data = pickle.dumps(thing, pickle.HIGHEST_PROTOCOL)
    file.write(_SIZE.pack(len(data)))
    file.write(data)


def _read(fd: int, at: int) -> tuple[Any, int]:
    """Return the object dumped at a position, and the position of the next."""
    (size,) = _SIZE.unpack(os.pread(fd, _SIZE.size, at))
    at += _SIZE.size
    return pickle.loads(os.pread(fd, size, at)), at + size


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
