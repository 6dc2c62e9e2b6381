"""The HTTP server: a listener, Hypercorn on it, and an edge where its faults end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import trio

from audio_server.files.running import note_running
from audio_server.process.addresses import open_listeners
from audio_server.rpc.trusted_proxies import PeerLimits
from audio_server.settings.addresses import Address, is_loopback, parse_address
from audio_server.settings.settings import DEFAULT_HTTP
from audio_server.web.context import Context

if TYPE_CHECKING:
    from audio_server.fleet.fleet import Fleet
    from audio_server.web.endpoint import Endpoint

END_S = 1.0
"""How long pages have to be told that the server is gone."""

PORTS = 20
"""How many ports are tried for the pages where none was set."""

log = structlog.get_logger()


@asynccontextmanager
async def open_pages(context: Context) -> AsyncIterator[None]:
    """Serve the pages of `context` for as long as the block, drain included.

    Raises `OSError` for an address that cannot be used, unless none was set: where the default port
    is taken, a higher one is used; where none is free there are no pages, and a warning is logged.
    Raises `SetupError` for a fault of the operators' token or the certificate. A later fault is
    logged and ends the pages alone.
    """
    address = parse_address(context.settings.http)
    listeners = await _listen(context.settings.http, address) if address else []
    way = None
    async with trio.open_nursery() as nursery:
        if listeners:
            with _closed_on_error(listeners):
                way = _endpoint(context, listeners)
            context.reloads.append(way.reload)
            nursery.start_soon(_serve, context, listeners, way)
            nursery.start_soon(_announce, context, way)
        elif address is not None:
            nursery.start_soon(_excuse, context)
        if context.settings.data is not None:
            nursery.start_soon(_note_running, context, way, context.settings.data)
        yield
        context.over.set()
        nursery.cancel_scope.deadline = trio.current_time() + END_S


async def _announce(context: Context, way: Endpoint) -> None:
    await context.ready.wait()  # the first line of a server is that it listens for devices
    facts = {} if way.token_file is None else {"token_file": str(way.token_file)}
    if context.settings.http is DEFAULT_HTTP and str(way.address) != DEFAULT_HTTP:
        facts["taken"] = DEFAULT_HTTP
    log.info("pages", url=way.url, **facts)
    way.warn()


async def _excuse(context: Context) -> None:
    await context.ready.wait()
    log.warning(
        "no pages: the port is taken", http=DEFAULT_HTTP, see="--http HOST:PORT, or --http off"
    )


async def _note_running(context: Context, way: Endpoint | None, data: Path) -> None:
    await context.ready.wait()
    devices = str(Address(context.settings.host, context.port))
    await trio.to_thread.run_sync(note_running, data, devices, None if way is None else way.url)


def _endpoint(context: Context, listeners: Sequence[trio.SocketListener]) -> Endpoint:
    """Return one endpoint for all listeners, as strict as that of the most exposed one."""
    from audio_server.web.endpoint import endpoint  # a server without pages needs none of this

    bound = [listener.socket.getsockname() for listener in listeners]
    names = sorted(bound, key=lambda name: ":" in name[0])  # URLs of IPv4 are easier to type
    beyond = [name for name in names if not is_loopback(name[0])]
    return endpoint(context.settings, (beyond or names)[0])


@contextmanager
def _closed_on_error(listeners: Sequence[trio.SocketListener]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for listener in listeners:
            listener.socket.close()
        raise


async def _listen(http: str, address: Address) -> list[trio.SocketListener]:
    if http is not DEFAULT_HTTP:
        return await open_listeners(address.host, address.port)
    for port in range(address.port, address.port + PORTS):
        with suppress(OSError):
            return await open_listeners(address.host, port)
    return []


async def _serve(context: Context, listeners: Sequence[trio.SocketListener], way: Endpoint) -> None:
    """Serve until `context.over`. This is the edge where faults of the pages end."""
    from audio_server.web.app import make_app
    from audio_server.web.connections import serve_connections

    try:
        async with AsyncExitStack() as stack:
            for listener in listeners:
                await stack.enter_async_context(listener)
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(_keep, context.fleet, context.over)
            app = make_app(context, way.entry)
            settings = context.settings
            peers = PeerLimits(settings.limits, settings.trusted_proxies)
            keepalive_s = settings.http_keepalive_s
            await serve_connections(app, listeners, context.over, keepalive_s, peers, way.tls)
    except* Exception:
        log.exception("pages failed")


async def _keep(fleet: Fleet, over: trio.Event) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        await over.wait()
        nursery.cancel_scope.cancel()
