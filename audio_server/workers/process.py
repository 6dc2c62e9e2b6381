"""One worker as the supervisor sees it: a process that is started again when it ends."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import structlog
import trio

from audio_server.cluster.local import Hub
from audio_server.cluster.served import ServedNode
from audio_server.process.addresses import Address
from audio_server.process.watchdog import wait_hung
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

Include: TypeAlias = Callable[[str, int], AbstractContextManager[None]]
"""Gives a block for the life of each process, by the name of the node and the worker's number."""

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
    """Worker number `number`, whichever process that is; `node` is the newest one's.

    `include` gives a block for the life of each process, which listens on `addresses` and reads
    `boot` first. `ended` is called each time one ends unasked, with the reason.
    """

    def __init__(
        self,
        number: int,
        hub: Hub | None = None,
        include: Include = lambda node, number: nullcontext(),
        *,
        boot: bytes = b"",
        addresses: Sequence[Address] = (),
        watch: Watch | None = None,
        ended: Callable[[End], None] = lambda _: None,
    ) -> None:
        self.number = number
        self._hub = hub or Hub()
        self._include = include
        self._boot = boot
        self._addresses = addresses
        self._watch = watch
        self._ended = ended
        self._end = End.ENDED
        self._life = 0
        self.node: ServedNode | None = None
        self.ready = trio.Event()
        self._draining = trio.Event()

    @property
    def node_name(self) -> str:
        """The name of the node that the process is."""
        return f"worker {self.number}, process {self._life}"

    def on_ready(self) -> None:
        """The process accepts connections; `ready` is for the first one."""
        log.info("worker ready", worker=self.number)
        self.ready.set()

    def _told(self, what: str) -> None:
        if what == "ready":
            self.on_ready()

    def drain(self) -> None:
        """Have the process end properly, and start no other one."""
        self._draining.set()
        if self.node is not None:
            self.node.tell("drain")

    async def run(self, command: Sequence[str], fds: Sequence[int]) -> None:
        """Keep a process until `drain`. A cancel kills it.

        `command` starts it. Its standard input is its end of a socket to its node, and it inherits
        the files `fds` and the sockets to listen on, whose numbers are its last arguments.
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
            near, far = socket.socketpair()
            with near, far:
                near.sendall(self._boot)
                stream = trio.SocketStream(trio.socket.from_stdlib_socket(near))
                self._life += 1
                self.node = ServedNode(self._hub, self.node_name, stream, self._told)
                process = await trio.lowlevel.open_process(
                    [*command, *map(str, sockets.fds)],
                    stdin=far,
                    pass_fds=(*fds, *sockets.fds),
                    env=_environment(),
                )
                far.close()
                return await self._attend(_Running(process, sockets), self.node)

    async def _attend(self, running: _Running, node: ServedNode) -> int:
        """See to a process until its end, which a cancel hastens."""
        process = running.process
        log.info("worker started", worker=self.number, pid=process.pid)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._serve, running, node)
                nursery.start_soon(self._end_deaf, running, node)
                if self._watch is not None:
                    nursery.start_soon(self._end_hung, running, self._watch)
                status = await running.wait()
                nursery.cancel_scope.cancel()
        finally:
            process.kill()
            with trio.move_on_after(REAP_S, shield=True):
                await process.wait()
        return status

    async def _serve(self, running: _Running, node: ServedNode) -> None:
        """Serve the node. This is the edge where faults of its frames end, and it with them."""
        with self._include(node.name, self.number):
            try:
                await node.run()
            except* Exception:
                log.exception("worker cannot be understood", worker=self.number)
                running.process.kill()

    async def _end_deaf(self, running: _Running, node: ServedNode) -> None:
        """End a process that does not read its messages."""
        await node.wait_full()
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
