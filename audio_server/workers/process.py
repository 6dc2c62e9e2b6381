"""One worker as the supervisor sees it: a process that is started again when it ends."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import structlog
import trio

from audio_server.process.addresses import Address
from audio_server.process.watchdog import wait_hung
from audio_server.workers.descriptor_passing import DescriptorSender
from audio_server.workers.mailbox import Mailbox
from audio_server.workers.messages import Drain
from audio_server.workers.sockets import WorkerSockets

SETTLED_S = 10.0
"""A worker that lived so long did not end at once."""

PAUSE_S = 0.1
"""How long one that ended at once twice in a row waits for its next start; doubled each time."""

PAUSE_MAX_S = 10.0

REAP_S = 2.0
"""How long a process that was killed may take to be gone."""

TRACEBACK_S = 1.0
"""How long one that hangs has to write where, after SIGABRT."""

Attach: TypeAlias = Callable[[int, trio.abc.Stream], Awaitable[None]]
"""Called for every process, with the worker's number and a stream for questions to it. It closes
the stream, and returns when the process is gone."""

log = structlog.get_logger()


class End(Enum):
    """Why a process has ended that was not to end."""

    ENDED = "ended"
    """By itself, or by a signal from outside."""

    HUNG = "hung"
    """It hung, and was killed."""


@dataclass(frozen=True, slots=True)
class Watch:
    """How it is seen that a worker hangs: `beats` is a count that its loop keeps raising, which
    may stay the same for `patience_s`."""

    beats: Callable[[], float]
    patience_s: float


class WorkerProcess:
    """Worker number `number`, whichever process that is; `mailbox` is the newest one's.

    `attach` is called for each process, which listens on `addresses`. `ended` is called each time
    one ends unasked, with the reason.
    """

    def __init__(
        self,
        number: int,
        attach: Attach | None = None,
        *,
        addresses: Sequence[Address] = (),
        watch: Watch | None = None,
        ended: Callable[[End], None] = lambda _: None,
    ) -> None:
        self.number = number
        self._attach = attach
        self._addresses = addresses
        self._watch = watch
        self._ended = ended
        self._end = End.ENDED
        self.mailbox = Mailbox()
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
        self.mailbox.send(Drain())

    async def run(self, command: Sequence[str], fds: Sequence[int]) -> None:
        """Keep a process until `drain`. A cancel kills it.

        `command` starts it. It reads messages on standard input, and inherits the files `fds` and
        those whose numbers are its last arguments: its ends of the descriptor socket and of the
        stream for questions, and the sockets to listen on.
        Raises `ChildProcessError` if the first one ends before it is ready.
        """
        quick_ends = 0
        while not self._draining.is_set():
            settled_at = trio.current_time() + SETTLED_S
            status = await self._try_process(command, fds)
            if not self.ready.is_set() and not self._draining.is_set():
                reason = f"worker {self.number} ended before it was ready (status {status})"
                raise ChildProcessError(errno.ECHILD, reason)
            quick_ends = quick_ends + 1 if trio.current_time() < settled_at else 0
            if not self._draining.is_set():
                self._ended(self._end)
                await self._pause(status, pause_s(quick_ends))

    async def _try_process(self, command: Sequence[str], fds: Sequence[int]) -> int | None:
        """As `_run_process`; None where the system has no room or no address for another one."""
        try:
            return await self._run_process(command, fds)
        except OSError as error:
            if not self.ready.is_set():
                raise
            log.error("worker not started", worker=self.number, reason=str(error))
            return None

    async def _pause(self, status: int | None, seconds: float) -> None:
        log.warning("worker ended", worker=self.number, status=status, next_in_s=seconds)
        with trio.move_on_after(seconds):
            await self._draining.wait()

    async def _run_process(self, command: Sequence[str], fds: Sequence[int]) -> int:
        """Run a process to its end; gives its exit status."""
        self._end = End.ENDED
        with closing(WorkerSockets(self._addresses)) as sockets:
            asking, asked = socket.socketpair()
            with asking, asked, self.handover.open() as handover:
                with handover, asked:
                    ends = handover.fileno(), asked.fileno(), *sockets.fds
                    process = await self._start(command, fds, ends)
                return await self._attend(_Running(process, sockets), asking)

    async def _start(
        self, command: Sequence[str], fds: Sequence[int], ends: Sequence[int]
    ) -> trio.Process:
        self.mailbox = Mailbox()
        return await trio.lowlevel.open_process(
            [*command, *map(str, ends)],
            stdin=subprocess.PIPE,
            pass_fds=(*fds, *ends),
            env=_environment(),
        )

    async def _attend(self, running: _Running, asking: socket.socket) -> int:
        """See to a process until its end, which a cancel hastens."""
        process = running.process
        log.info("worker started", worker=self.number, pid=process.pid)
        assert process.stdin is not None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.mailbox.deliver, process.stdin)
                nursery.start_soon(self._end_deaf, running)
                nursery.start_soon(self.handover.run)
                if self._watch is not None:
                    nursery.start_soon(self._end_hung, running, self._watch)
                if self._attach is not None:
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(asking))
                    nursery.start_soon(self._attach, self.number, stream)
                status = await running.wait()
                nursery.cancel_scope.cancel()
        finally:
            process.kill()
            with trio.move_on_after(REAP_S, shield=True):
                await process.wait()
            await trio.aclose_forcefully(process.stdin)
        return status

    async def _end_deaf(self, running: _Running) -> None:
        """End a process that does not read its messages."""
        await self.mailbox.wait_full()
        await self._end_now(running, "it does not read")

    async def _end_hung(self, running: _Running, watch: Watch) -> None:
        """End a process whose loop stands still; one that drains has a deadline of its own."""
        await wait_hung(watch.beats, watch.patience_s)
        if self._draining.is_set():
            return
        await self._end_now(running, f"its loop stood still for {watch.patience_s:g} s")

    async def _end_now(self, running: _Running, reason: str) -> None:
        log.error("worker hangs", worker=self.number, pid=running.process.pid, reason=reason)
        self._end = End.HUNG
        await running.end_hung()


class _Running:
    """A process, and the sockets on which it listens."""

    def __init__(self, process: trio.Process, sockets: WorkerSockets) -> None:
        self.process = process
        self._sockets = sockets
        self._waiting = trio.CancelScope()

    async def wait(self) -> int:
        """Return its exit status when it has ended, or cannot even be killed (a disk that hangs):
        that of a killed one then."""
        try:
            with self._waiting:
                return await self.process.wait()
            return -signal.SIGKILL
        finally:
            self._sockets.close()  # no process accepts the connections that would come to them

    async def end_hung(self) -> None:
        """Take the port from it, have it write where it hangs, and kill it."""
        self._sockets.close()
        self.process.send_signal(signal.SIGABRT)
        with trio.move_on_after(TRACEBACK_S):
            await self.process.wait()
        self.process.kill()
        with trio.move_on_after(REAP_S):
            await self.process.wait()
        self._waiting.cancel()


def pause_s(quick_ends: int) -> float:
    """How long to wait for the next start after so many ends at once."""
    if quick_ends < 2:
        return 0.0
    doublings = min(quick_ends - 2, 16)  # it may go on for weeks, and floats end somewhere
    return min(PAUSE_S * (1 << doublings), PAUSE_MAX_S)


def _environment() -> dict[str, str]:
    """A worker imports the modules of the supervisor, and none from the folder it was started
    in."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"}
