"""A server: accepts connections, keeps each behind an edge of its own, drains them all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import structlog
import trio

from audio_server.rpc.limits import Limits
from audio_server.rpc.outbox import Flusher
from audio_server.rpc.server import ServerConnection, Services
from audio_server.rpc.turnstile import Turnstile

Numbering = Callable[[trio.abc.Stream], int]
"""Gives an accepted connection its number; a newer connection of the same client gets a larger."""

log = structlog.get_logger()


class Server:
    """Serves `services` on listeners. `run` is its life, `drain` its end.

    Without a `number` connections are counted as they are accepted.
    """

    def __init__(
        self,
        services: Services,
        *,
        limits: Limits | None = None,
        number: Numbering | None = None,
    ) -> None:
        self._services = services
        self._limits = limits or Limits()
        self._flusher = Flusher()
        self._turnstile = Turnstile()
        self._number = number or _counting()
        self._connections: set[ServerConnection] = set()
        self._accepting = trio.CancelScope()

    async def run(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until drained. Closes the listeners.

        A cancel ends all connections, each with a farewell of at most `Limits.farewell_s`.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._flusher.run)
            nursery.start_soon(self._turnstile.run)
            async with trio.open_nursery() as connections:
                with self._accepting:
                    task_status.started()
                    await trio.serve_listeners(
                        self._serve, list(listeners), handler_nursery=connections
                    )
            nursery.cancel_scope.cancel()

    async def _serve(self, transport: trio.abc.Stream) -> None:
        """The edge round one connection: no fault in it reaches another one."""
        connection = ServerConnection(
            self._services,
            transport,
            limits=self._limits,
            number=self._number(transport),
            flusher=self._flusher,
            turnstile=self._turnstile,
        )
        self._connections.add(connection)
        try:
            await connection.run()
        except* Exception:
            log.exception("connection failed", peer=str(connection.peer))
        finally:
            self._connections.discard(connection)

    def stop_accepting(self) -> None:
        """Take no new connections; those that are open go on."""
        self._accepting.cancel()

    async def drain(self) -> None:
        """Tell every client to go and end its calls, all at once; `run` then returns.

        One that is stalled delays nobody, but `run` waits for it: bound that with a deadline.
        """
        self.stop_accepting()
        async with trio.open_nursery() as nursery:
            for connection in self._connections:
                nursery.start_soon(connection.drain)


def _counting() -> Numbering:
    numbers = itertools.count(1)
    return lambda _: next(numbers)
