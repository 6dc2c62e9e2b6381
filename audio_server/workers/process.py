"""One worker as the supervisor sees it: a process that is started again when it ends."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog
import trio

from audio_server.workers.descriptor_passing import DescriptorSender
from audio_server.workers.mailbox import Mailbox
from audio_server.workers.messages import Drain

SETTLED_S = 10.0
"""A worker that lived so long did not end at once."""

PAUSE_S = 0.1
"""How long one that ended at once twice in a row waits for its next start; doubled each time."""

PAUSE_MAX_S = 10.0

REAP_S = 2.0
"""How long a process that was killed may take to be gone."""

Attach: TypeAlias = Callable[[int, trio.abc.Stream], Awaitable[None]]
"""Told of every process, by the worker's number, with a stream on which it may be asked. To be
closed by whoever is told, who returns when the process is gone."""

log = structlog.get_logger()


class WorkerProcess:
    """Worker number `number`, whichever process that is; `post` is the newest one's.

    `attach` is told of each process.
    """

    def __init__(self, number: int, attach: Attach | None = None) -> None:
        self.number = number
        self._attach = attach
        self.post = Mailbox()
        self.handover = DescriptorSender()
        self.ready = trio.Event()
        self._draining = trio.Event()

    def on_ready(self) -> None:
        """The process accepts connections; `ready` is for the first one."""
        log.info("worker ready", worker=self.number)
        self.ready.set()

    def drain(self) -> None:
        """Have the process end properly, and start no other one."""
        self._draining.set()
        self.post.send(Drain())

    async def run(self, command: Sequence[str], fds: Sequence[int]) -> None:
        """Keep a process until `drain`. A cancel kills it.

        `command` starts it. It gets the news on standard input, and inherits the files `fds` and
        two ends whose numbers are its last arguments: of `handover`, and of what `attach` has.
        Raises `ChildProcessError` if the first one ends before it is ready.
        """
        quick_ends = 0
        while not self._draining.is_set():
            settled_at = trio.current_time() + SETTLED_S
            status = await self._run_process(command, fds)
            if not self.ready.is_set() and not self._draining.is_set():
                reason = f"worker {self.number} ended before it was ready (status {status})"
                raise ChildProcessError(errno.ECHILD, reason)
            quick_ends = quick_ends + 1 if trio.current_time() < settled_at else 0
            if not self._draining.is_set():
                await self._pause(status, pause_s(quick_ends))

    async def _pause(self, status: int, seconds: float) -> None:
        log.warning("worker ended", worker=self.number, status=status, next_in_s=seconds)
        with trio.move_on_after(seconds):
            await self._draining.wait()

    async def _run_process(self, command: Sequence[str], fds: Sequence[int]) -> int:
        """Run a process to its end; gives its exit status."""
        asking, asked = socket.socketpair()
        with asking, asked, self.handover.open() as handover:
            process = await self._start(command, fds, handover, asked)
            return await self._attend(process, asking)

    async def _start(
        self,
        command: Sequence[str],
        fds: Sequence[int],
        handover: socket.socket,
        asked: socket.socket,
    ) -> trio.Process:
        self.post = Mailbox()
        with handover, asked:
            ends = handover.fileno(), asked.fileno()
            return await trio.lowlevel.open_process(
                [*command, *map(str, ends)],
                stdin=subprocess.PIPE,
                pass_fds=(*fds, *ends),
                env=_environment(),
            )

    async def _attend(self, process: trio.Process, asking: socket.socket) -> int:
        """See to a process until its end, which a cancel hastens."""
        log.info("worker started", worker=self.number, pid=process.pid)
        assert process.stdin is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.post.deliver, process.stdin)
                nursery.start_soon(self._kill_hung, process)
                nursery.start_soon(self.handover.run)
                if self._attach is not None:
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(asking))
                    nursery.start_soon(self._attach, self.number, stream)
                status = await process.wait()
                nursery.cancel_scope.cancel()
        finally:
            process.kill()
            with trio.move_on_after(REAP_S, shield=True):
                await process.wait()
            await trio.aclose_forcefully(process.stdin)
        return status

    async def _kill_hung(self, process: trio.Process) -> None:
        await self.post.wait_full()
        log.error("worker hangs", worker=self.number)
        process.kill()


def pause_s(quick_ends: int) -> float:
    """How long to wait for the next start after so many ends at once."""
    if quick_ends < 2:
        return 0.0
    doublings = min(quick_ends - 2, 16)  # it may go on for weeks, and floats end somewhere
    return min(PAUSE_S * (1 << doublings), PAUSE_MAX_S)


def _environment() -> dict[str, str]:
    """A worker imports what the supervisor imports, and nothing from where it was started."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"}
