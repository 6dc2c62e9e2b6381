"""The configuration of workers, and clips that change while they run: files passed by descriptor.

Each worker has a socket for this alone. The supervisor sends the descriptor of the configuration
before the process is there, and of one with other clips whenever they have changed; the worker
confirms each with a byte. A file that has been passed never changes, so no process waits for
another, and a worker always has the newest in the end.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
import trio
from trio_util import AsyncValue

from audio_server.device.registry import Devices
from audio_server.workers.worker_config import WorkerConfig, unpack

log = structlog.get_logger()

_BYTE = b"."
_RIGHTS_BYTES = socket.CMSG_SPACE(array.array("i").itemsize)


class DescriptorSender:
    """The supervisor's end for one worker, whichever process that is."""

    def __init__(self) -> None:
        self._newest: int | None = None
        self._socket: socket.socket | None = None
        self._given = 0
        self._taken = AsyncValue(0)

    @contextmanager
    def open(self) -> Iterator[socket.socket]:
        """Serve one process, which starts with the last file. Returns the other end, which the
        caller closes."""
        near, far = socket.socketpair()
        near.setblocking(False)
        with near:
            self._given, self._taken = 0, AsyncValue(0)
            if self._newest is not None:
                _send(near, self._newest)
            self._socket = near
            try:
                yield far
            finally:
                self._socket = None
                self._taken.value = self._given  # the next one boots with it

    def give(self, fd: int) -> None:
        """Pass a file. It stays the caller's, who may close it once another was passed."""
        self._newest = fd
        if self._socket is not None:
            with suppress(OSError):  # the process is gone, or about to be for it takes nothing
                _send(self._socket, fd)
                self._given += 1

    async def wait_taken(self) -> None:
        """Return when the present process plays the clips of the last file, or has gone."""
        mark = self._given
        await self._taken.wait_value(lambda taken: taken >= mark)

    async def run(self) -> None:
        """Listen to the process of the open block, until it is gone."""
        assert self._socket is not None
        near = self._socket
        while said := await _next(near):
            self._taken.value += len(said)


def take_boot(end: socket.socket) -> WorkerConfig:
    """Return the configuration of this process: the first file that is passed. Blocks."""
    return _unpack(_received(end))


async def take_clips(end: socket.socket, devices: Devices) -> None:
    """The worker's end: have `devices` play the clips of each file, until the supervisor is gone.

    A fault is logged, and then the old clips stay.
    """
    while True:
        await trio.lowlevel.wait_readable(end)
        if (fd := _received(end)) < 0:
            return
        try:
            boot = await trio.to_thread.run_sync(_unpack, fd)
            devices.change_clips(boot.clips)
        except Exception:
            log.exception("clips not taken")
        with suppress(OSError):  # the supervisor is gone
            end.send(_BYTE)


async def _next(near: socket.socket) -> bytes:
    await trio.lowlevel.wait_readable(near)
    try:
        return near.recv(64)
    except OSError:
        return b""


def _send(near: socket.socket, fd: int) -> None:
    near.sendmsg([_BYTE], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])


def _received(end: socket.socket) -> int:
    """The next descriptor, -1 at the end. One at a time: a byte comes with each."""
    _, rights, _, _ = end.recvmsg(1, _RIGHTS_BYTES)
    fds = array.array("i", rights[0][2] if rights else b"")
    return fds[0] if fds else -1


def _unpack(fd: int) -> WorkerConfig:
    try:
        return unpack(fd)
    finally:
        os.close(fd)
