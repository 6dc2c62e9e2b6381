"""Bytes on their way to a socket: one write a connection for all bytes that are due together.

A producer adds bytes for the peer to the connection's buffer and calls `flush_soon`. The flush
itself happens later in the same scheduler tick or early in the next, so that an acknowledgement, an
LED frame and sound leave in one write. Fast path: on a socket, with TLS or without, a shared
`BatchWriter` writes for all connections, without waking a task for each; bytes that the socket does
not take, and those of other streams (memory), are written by a task of the buffer's own, which
exists only while bytes wait.

`write_now` is for a frame that is due alone, as the refill of a take is: it avoids the buffer and
the turns of the batch writer (docs/performance.md, "A short way for refills").
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
import trio

from audio_server.rpc.io.sockets import Transport, socket_of
from audio_server.rpc.io.tls_socket import TlsSocket

log = structlog.get_logger()


def _nothing() -> None:
    """Called when the last bytes of a closed buffer have been written."""


class BatchWriter:
    """One task that writes the buffers of many connections."""

    __slots__ = ("_due", "_task")

    # Write buffers written between two looks at the rest of the program: under a millisecond.
    _CHUNK = 64

    def __init__(self) -> None:
        self._due: list[WriteBuffer] = []
        self._task: trio.lowlevel.Task | None = None

    def add(self, write_buffer: WriteBuffer) -> None:
        """Have `write_buffer.flush_nowait` called soon."""
        self._due.append(write_buffer)
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def run(self) -> None:
        """Flush until cancelled; a cancel leaves bytes in their outboxes."""
        while True:
            if not self._due:
                await self._wait_due()
                # A turn later there may be an LED frame or sound behind the acknowledgement.
                await trio.lowlevel.checkpoint()
            self._flush_some()
            if self._due:
                await trio.lowlevel.checkpoint()

    def _flush_some(self) -> None:
        # Not in `run`, whose variables would keep outboxes of connections that have ended.
        due, self._due = self._due[: self._CHUNK], self._due[self._CHUNK :]
        for write_buffer in due:
            self._flush_one(write_buffer)

    @staticmethod
    def _flush_one(write_buffer: WriteBuffer) -> None:
        try:
            write_buffer.flush_nowait()
        except Exception:
            # One connection's fault must not stop the writes of all others. Its peer hears
            # nothing more and its keepalive ends it.
            write_buffer.close()
            log.exception("a connection's write buffer failed")

    async def _wait_due(self) -> None:
        def abort(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)


class WriteBuffer:
    """The bytes that wait to be written to one transport.

    `data` is filled by the owner; `drained` is called whenever all of it has been written.
    Does not close the transport.
    """

    __slots__ = ("_batch_writer", "_drained", "_marked", "_nursery", "_socket", "_transport",
                 "broken", "data")  # fmt: skip

    def __init__(
        self,
        data: bytearray,
        transport: Transport,
        batch_writer: BatchWriter | None,
        drained: Callable[[], None],
    ) -> None:
        self.data = data
        self._transport = transport
        self._socket = socket_of(transport)
        self._batch_writer = batch_writer
        self._drained = drained
        self._nursery: trio.Nursery | None = None
        self._marked = False
        self.broken = False

    def start(self, nursery: trio.Nursery) -> None:
        """Write from now on; tasks that have to wait for the transport run in `nursery`."""
        self._nursery = nursery

    def flush_soon(self) -> None:
        """Have `data` written; any number of calls before that are one write."""
        if self._marked or not self.data or self.broken or self._nursery is None:
            return
        self._marked = True
        if self._socket is not None and self._batch_writer is not None:
            self._batch_writer.add(self)
        else:
            self._drain_in(self._nursery)

    def write_now(self, data: bytes) -> None:
        """Write a frame that does not wait for other bytes that may be due, and comes after all of
        them.

        Bytes that the socket does not take, or that cannot be written yet, wait in `data`.
        """
        if self._socket is None or self.data or self._nursery is None:
            self.data += data
            self.flush_soon()
        elif not self.broken:
            try:
                taken = self._socket.write(data)
            except OSError:
                self.broken = True  # the reader finds the same error, and ends the connection
                return
            if taken < len(data):
                self.data += data[taken:]
                self._marked = True
                self._drain_in(self._nursery)

    def _drain_in(self, nursery: trio.Nursery) -> None:
        try:
            nursery.start_soon(self.drain)
        except RuntimeError:
            # A client's calls are tasks elsewhere: one may end after the connection's own tasks
            # have. The connection then drains the waiting bytes as its last act.
            self._marked = False

    def flush_nowait(self) -> None:
        """Write the bytes that the socket takes now; the rest follows when it takes more."""
        if self._write_some():
            self._marked = False
            self._drained()
        elif self._nursery is not None:
            self._drain_in(self._nursery)

    def close(self) -> None:
        """Touch the transport no more: it is about to be closed."""
        self.broken = True
        self._drained = _nothing
        self._nursery = None

    def _write_some(self) -> bool:
        """Whether all has been written (or never will be)."""
        if self._socket is not None and not self.broken:
            try:
                del self.data[: self._socket.write(self.data)]
            except OSError:
                self.broken = True
                self.data.clear()
        return self.broken or not self.data

    async def end(self) -> None:
        """Write all that waits, and tell the peer that nothing follows. Raises nothing."""
        await self.drain()
        if self._socket is not None and not self.broken:
            self._socket.end()

    async def drain(self) -> None:
        """Write until no byte waits. Raises nothing: a lost peer only marks the buffer broken.

        So does a cancel in the middle of a write to a stream that is no socket: the number of bytes
        that have left is then unknown.
        """
        try:
            while self.data and not self.broken:
                await self._write_blocking()
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self.broken = True
        self._marked = False
        self._drained()

    async def _write_blocking(self) -> None:
        if self._socket is not None:
            if not self._write_some():
                await trio.lowlevel.wait_writable(self._socket.fd)
        elif not isinstance(self._transport, TlsSocket):
            data = bytes(self.data)
            self.data.clear()
            try:
                await self._transport.send_all(data)
            except trio.Cancelled:
                self.broken = True
                raise
