"""A server: accepts connections, keeps each behind an edge of its own, drains them all."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from typing import NoReturn, Protocol

import structlog
import trio
from grpclib.const import Handler

from audio_server.rpc.admission import ConnectionLimiter, Slot
from audio_server.rpc.gradual_drain import Busy, GradualDrain
from audio_server.rpc.instrumentation import Instrumentation
from audio_server.rpc.io.accept import Acceptor, ArrivalPace
from audio_server.rpc.io.epoll import Poller, is_possible
from audio_server.rpc.io.fair_queue import ReadScheduler
from audio_server.rpc.io.peer import Peer
from audio_server.rpc.io.proxy_reader import read_client
from audio_server.rpc.io.sockets import Transport
from audio_server.rpc.io.writer import BatchWriter
from audio_server.rpc.limits import Limits
from audio_server.rpc.proxy_header import ProxyHeaderError
from audio_server.rpc.server_connection import ServerConnection, Services
from audio_server.rpc.trusted_proxies import Network, PeerLimits

Securing = Callable[[trio.SocketStream, Peer, ReadScheduler], Awaitable[Transport | None]]
"""Returns the transport that a connection goes on over, as TLS; None for one that it ended. Work
that takes time is done in turns of the scheduler."""

log = structlog.get_logger()


class Servable(Protocol):
    """A service whose base class grpclib's plugin generated."""

    def __mapping__(self) -> Services:
        """Return the handler of each method by its path."""


class Server:
    """Serves `services` on listeners. `run` is its life, `drain` its end.

    `services` are instances of classes that grpclib's plugin generated, or one mapping from paths
    to handlers. Raises `TypeError` for anything else.

    `secure` runs in the connection's own task, so it may take its time. Connections from
    `trusted_proxies` have wider limits (`proxy_limits`); with `proxy_protocol` each of them begins
    with a header that names the client (`proxy_header`), whose address counts from then on. `busy`
    returns the peers that a gradual end leaves alone (`gradual_drain`).
    """

    def __init__(
        self,
        services: Services | Sequence[Servable],
        *,
        limits: Limits | None = None,
        trusted_proxies: Sequence[Network] = (),
        proxy_protocol: bool = False,
        secure: Securing | None = None,
        busy: Busy = tuple,
        meter: Instrumentation | None = None,
    ) -> None:
        self._meter = meter or Instrumentation()
        self._services = _merged(services)
        self._limits = PeerLimits(limits or Limits(), trusted_proxies)
        self._batch_writer = BatchWriter()
        self._scheduler = ReadScheduler()
        self._poller = Poller(self._scheduler) if is_possible() else None
        self._pace = ArrivalPace(self._limits.ordinary.arrivals)
        self._limiter = ConnectionLimiter(self._limits, self._meter)
        self._numbers = itertools.count(1)
        self._proxy_protocol = proxy_protocol
        self._secure = secure
        self._opening: set[trio.CancelScope] = set()
        self._connections: set[ServerConnection] = set()
        self._gradual_drain = GradualDrain(self._connections, busy)
        self._draining = False
        self._accepting = trio.CancelScope()

    async def run(
        self,
        listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept and serve until drained. Closes the listeners.

        A cancel ends all connections, each with a GOAWAY, within `Limits.close_timeout_s`.
        """
        with closing(self._poller) if self._poller else nullcontext():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._batch_writer.run)
                nursery.start_soon(self._scheduler.run)
                if self._poller is not None:
                    nursery.start_soon(self._poller.run)
                if max_age_s := self._limits.ordinary.max_age_s:
                    nursery.start_soon(self._gradual_drain.end_old, max_age_s)
                await self._accept(listeners, task_status)
                nursery.cancel_scope.cancel()

    async def _accept(
        self,
        listeners: Sequence[trio.abc.Listener[trio.SocketStream]],
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Serve all that come, until no more are taken and those that came have gone."""
        acceptor = Acceptor(self._serve, self._limiter.make_room, self._pace)
        async with trio.open_nursery() as connections:
            with self._accepting:
                async with trio.open_nursery() as accepting:
                    for listener in listeners:
                        accepting.start_soon(acceptor.run, listener, connections)
                    task_status.started()

    @property
    def __dispatch__(self) -> NoReturn:
        """Refuse the listeners of `grpclib.events`, which look for this name."""
        raise TypeError("grpclib.events does not work on this server; wrap the handlers instead")

    @property
    def refused(self) -> Mapping[str, int]:
        """How many connections were closed at once, by reason."""
        return self._limiter.refused

    async def _serve(self, transport: trio.SocketStream) -> None:
        peer = Peer(transport)
        if self._proxy_protocol and peer.addr() is None:  # gone, so a proxy is not known as one
            await trio.aclose_forcefully(transport)
            return
        is_proxied = self._proxy_protocol and self._limits.is_proxy(peer.host)
        enter = self._limiter.enter_proxied if is_proxied else self._limiter.enter
        slot = enter(peer.host)
        if slot is None:
            await trio.aclose_forcefully(transport)
            return
        if not is_proxied:
            self._pace.let_in()
        self._meter.connection_opened()
        try:
            await self._serve_admitted(transport, peer, slot, is_proxied=is_proxied)
        finally:
            self._meter.connection_closed()
            slot.leave()

    async def _serve_admitted(
        self, transport: trio.SocketStream, peer: Peer, slot: Slot, *, is_proxied: bool
    ) -> None:
        number = next(self._numbers)
        stream: Transport | None = transport
        if is_proxied or self._secure is not None:
            stream = await self._opened(transport, peer, slot, is_proxied=is_proxied)
        if stream is None or self._draining or not slot.is_held:
            await trio.aclose_forcefully(transport)
        else:
            await self._serve_on(stream, number, peer, slot)

    async def _opened(
        self, transport: trio.SocketStream, peer: Peer, slot: Slot, *, is_proxied: bool
    ) -> Transport | None:
        """Return the transport of a connection after its PROXY header and its TLS handshake, and
        have `peer` know both; None for a connection that ends there. A drain waits for neither."""
        with trio.CancelScope() as scope:
            self._opening.add(scope)
            slot.end_with(scope.cancel)
            try:
                if not is_proxied or await self._is_located(transport, peer, slot):
                    return await self._secured(transport, peer, slot)
            finally:
                self._opening.discard(scope)
        return None

    async def _is_located(self, transport: trio.SocketStream, peer: Peer, slot: Slot) -> bool:
        """Whether the proxy `peer` has named its client in time, and that one may come in."""
        try:
            client = await read_client(transport, self._limits.of_proxies.handshake_s)
        except ProxyHeaderError as error:
            log.info("PROXY header refused", peer=str(peer), reason=str(error))
            self._meter.connection_refused("proxy_header")
            return False
        except OSError:
            return False
        if client is not None:
            peer.comes_from(*client)
        if not self._limiter.locate(slot, peer.host):
            return False
        self._pace.let_in()
        return True

    async def _secured(
        self, transport: trio.SocketStream, peer: Peer, slot: Slot
    ) -> Transport | None:
        if self._secure is None:
            return transport
        stream = None
        try:
            stream = await self._secure(transport, peer, self._scheduler)
        except Exception:
            log.exception("connection failed", peer=str(peer))
        if stream is not None:
            peer.goes_on_over(stream)
        elif slot.is_held and not self._draining:
            self._meter.connection_refused("handshake")
        return stream

    async def _serve_on(self, transport: Transport, number: int, peer: Peer, slot: Slot) -> None:
        """The edge round one connection: no fault in it reaches another one."""
        connection = ServerConnection(
            self._services,
            transport,
            limits=self._limits.of(slot.host),
            number=number,
            batch_writer=self._batch_writer,
            scheduler=self._scheduler,
            poller=self._poller,
            on_identified=slot.authenticated,
            meter=self._meter,
            peer=peer,
        )
        self._connections.add(connection)
        slot.end_with(connection.give_way)
        try:
            await connection.run()
        except* Exception:
            log.exception("connection failed", peer=str(connection.peer))
        finally:
            self._connections.discard(connection)

    def stop_accepting(self) -> None:
        """Take no new connections; those that are open go on."""
        self._accepting.cancel()

    def abort(self) -> None:
        """End all connections now and without GOAWAYs; `run` then returns."""
        self._stop_admitting()
        for connection in list(self._connections):
            connection.abort("the server stops at once")

    def _stop_admitting(self) -> None:
        self.stop_accepting()
        self._draining = True
        for scope in self._opening:
            scope.cancel()

    async def drain_gradually(self, within_s: float) -> None:
        """Ask one client after the other to leave, at an even pace, none that is busy.

        Returns when all have left, or in time with the others: `drain` ends those. Takes no new
        connections from its start on.
        """
        self._stop_admitting()
        await self._gradual_drain.end_all(within_s)

    async def drain(self) -> None:
        """Ask every client to leave and end its calls, all at once; `run` then returns.

        A stalled client delays no other, but `run` waits for it: bound that with a deadline.
        """
        self._stop_admitting()
        async with trio.open_nursery() as nursery:
            for connection in self._connections:
                nursery.start_soon(connection.drain)


def _merged(services: Services | Sequence[Servable]) -> Services:
    if isinstance(services, Mapping):
        return services
    merged: dict[str, Handler] = {}
    for service in services:
        if not hasattr(service, "__mapping__"):
            raise TypeError(f"{service!r} is no service: it has no __mapping__")
        merged.update(service.__mapping__())
    return merged
