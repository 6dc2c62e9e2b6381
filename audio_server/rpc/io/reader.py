"""Where a connection's bytes come from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio
from outcome import Error, Outcome, Value
from trio.lowlevel import Abort, RaiseCancelT, Task

from audio_server.rpc.io.epoll import Poller
from audio_server.rpc.io.fair_queue import NEWCOMER, ReadScheduler
from audio_server.rpc.io.sockets import Socket, Transport, socket_of
from audio_server.rpc.io.tls_socket import READ_BYTES, TlsSocket

Take = Callable[[bytes], bool]
"""Takes bytes, and returns whether they are dealt with completely. Must not block."""


class Reader:
    """Reads from a transport; from a socket with one system call for all bytes that are there.

    With a `scheduler` bytes are taken when it lets this reader proceed. With a `poller` a socket is
    read by that one, but for the first bytes: connections that are silent are not its concern.
    """

    __slots__ = ("_is_new", "_poller", "_scheduler", "_socket", "_stream", "_take", "_task")

    def __init__(
        self,
        transport: Transport,
        scheduler: ReadScheduler | None = None,
        poller: Poller | None = None,
    ) -> None:
        self._socket = socket_of(transport)
        self._stream = transport.stream if isinstance(transport, TlsSocket) else transport
        self._scheduler = scheduler
        self._is_new = True
        self._poller = poller
        self._task: Task | None = None  # the task in `read`, while the poller reads
        self._take: Take | None = None

    async def read(self, take: Take) -> bool:
        """Pass all bytes to `take`, until it reports that work is left.

        Returns whether work is left; False when the peer has closed. Raises the errors of the
        transport and of `take`. Cancelling it loses nothing.
        """
        while True:
            socket, poller = self._socket, self._poller
            if poller is not None and not (self._is_new or socket is None or socket.unread):
                return await self._wait_heard(poller, socket, take)
            data = await self._receive()
            if not data or not take(data):
                return bool(data)

    async def linger(self) -> None:
        """Shut down the sending side, and discard bytes until the peer closes.

        A socket that is closed with bytes unread is reset, and the reset may overtake the GOAWAY
        with the reason. Raises nothing; for sockets only.
        """
        if isinstance(self._stream, trio.SocketStream):
            with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
                await self._stream.send_eof()
                while await self._stream.receive_some(READ_BYTES):
                    pass

    async def _wait_heard(self, poller: Poller, socket: Socket, take: Take) -> bool:
        """As `read`, while the poller calls `take`."""
        self._task, self._take = trio.lowlevel.current_task(), take
        poller.add(socket.fd, self._on_readable)
        try:
            return bool(await trio.lowlevel.wait_task_rescheduled(self._abort))
        finally:
            self._task = self._take = None  # the poller's callback holds this reader

    def _on_readable(self) -> None:
        """Take the bytes that are there, and wake the task if work is left."""
        try:
            heard = self._take_some()
        except Exception as error:  # this connection's, and not the poller's
            self._wake(Error(error))  # held by no variable: its traceback leads to this frame
        else:
            if heard is not None:
                self._wake(Value(heard))

    def _take_some(self) -> bool | None:
        """Return the result for `read`, None if it goes on."""
        assert self._take is not None
        assert self._socket is not None
        data = self._socket.read()
        while data and self._take(data):
            if not self._socket.unread:
                return None
            data = self._socket.read()
        return None if data is None else bool(data)

    def _wake(self, outcome: Outcome[bool]) -> None:
        if task := self._leave_poller():
            trio.lowlevel.reschedule(task, outcome)

    def _abort(self, _: RaiseCancelT) -> Abort:
        self._leave_poller()
        return Abort.SUCCEEDED

    def _leave_poller(self) -> Task | None:
        """Return the waiting task, unless it was cancelled, perhaps by the bytes just taken."""
        task, self._task = self._task, None
        if task is not None and self._poller is not None and self._socket is not None:
            self._poller.remove(self._socket.fd)
        return task

    async def _receive(self) -> bytes:
        """The next bytes; b"" when the peer has closed."""
        socket = self._socket
        if socket is None:
            return await self._receive_whole()
        # The first bytes are often there already, and a wait for them costs a turn of the loop.
        is_ready = self._is_new or socket.unread
        while True:
            if not is_ready:
                await trio.lowlevel.wait_readable(socket.fd)
            await self._enter()
            if (data := socket.read()) is not None:
                self._is_new = False
                return data
            is_ready = False

    async def _receive_whole(self) -> bytes:
        data = bytes(await self._stream.receive_some(READ_BYTES))
        with trio.CancelScope(shield=True):  # a few turns at most, and these bytes are ours
            await self._enter()
        self._is_new = False
        return data

    async def _enter(self) -> None:
        if self._scheduler is not None:
            await self._scheduler.enter(NEWCOMER if self._is_new else 1)
