"""The HTTP server: a listener, Hypercorn on it, and an edge where its faults end."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import structlog
import trio

from audio_server.web.address import DEFAULT, Address, is_loopback, parse_address
from audio_server.web.house import House

if TYPE_CHECKING:
    from hypercorn.config import Config

    from audio_server.fleet.interface import Fleet

END_S = 1.0
"""How long pages have to be told that the server is gone."""

READ_S = 30
"""How long a request may take to come, and how long a connection may be silent after one."""

MESSAGE_MAX_BYTES = 4096

log = structlog.get_logger()


@asynccontextmanager
async def open_pages(house: House) -> AsyncIterator[None]:
    """Serve the pages of `house` for as long as the block, drain included.

    Raises `OSError` for an address that cannot be used, unless nobody asked for it: where the
    default is taken there are no pages, and a line says so. What fails later is logged and ends the
    pages alone.
    """
    address = parse_address(house.settings.http)
    listener = await _listen(address) if address else None
    async with trio.open_nursery() as nursery:
        if listener is not None:
            nursery.start_soon(_serve, house, listener)
        if address is not None:
            nursery.start_soon(_announce, house, _url(listener))
        yield
        house.over.set()
        nursery.cancel_scope.deadline = trio.current_time() + END_S


async def _announce(house: House, url: str | None) -> None:
    await house.ready.wait()  # the first line of a server is that it listens for devices
    if url is None:
        log.info("no pages: somebody else is there", http=DEFAULT)
    else:
        log.info("pages", url=url)


def _url(listener: socket.socket | None) -> str | None:
    return f"http://{Address(*listener.getsockname()[:2])}" if listener else None


async def _listen(address: Address) -> socket.socket | None:
    try:
        listeners = await trio.open_tcp_listeners(address.port, host=address.host)
    except OSError as error:
        if str(address) != DEFAULT:
            raise OSError(error.errno, error.strerror or str(error), str(address)) from error
        return None
    first, *others = listeners  # a name with several addresses: one will do
    for other in others:
        await other.aclose()
    return socket.socket(fileno=first.socket.detach())


async def _serve(house: House, listener: socket.socket) -> None:
    """Serve until `house.over`. This is the edge where faults of the pages end."""
    from hypercorn.trio import serve

    from audio_server.web.app import make_app

    loopback = is_loopback(listener.getsockname()[0])
    try:
        with listener:
            # Any: each of the two has types of its own for the one protocol
            app: Any = make_app(house, loopback=loopback)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_keep, house.fleet, house.over)
                await serve(app, _config(listener), shutdown_trigger=house.over.wait, mode="asgi")
    except* Exception:
        log.exception("pages failed")


async def _keep(fleet: Fleet, over: trio.Event) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        await over.wait()
        nursery.cancel_scope.cancel()


def _config(listener: socket.socket) -> Config:
    from hypercorn.config import Config

    config = Config()
    config.bind = f"fd://{listener.detach()}"
    config.errorlog = logging.getLogger("hypercorn.error")
    config.include_server_header = False
    config.graceful_timeout = END_S / 2
    config.read_timeout = None
    config.keep_alive_timeout = READ_S
    config.websocket_max_message_size = MESSAGE_MAX_BYTES
    config.websocket_ping_interval = READ_S
    return config
