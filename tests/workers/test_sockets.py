"""One port for many processes, and for nobody else."""

from __future__ import annotations

import errno
import os

import pytest
import trio

from audio_server.process.addresses import resolve
from audio_server.workers.sockets import listen, reserved


async def test_a_free_port_is_found_once_and_shared_by_all() -> None:
    with reserved(await resolve("127.0.0.1", 0)) as addresses:
        (first,), (second,) = listen(addresses), listen(addresses)
        async with first, second:
            port = addresses[0].port
            assert port
            ports = {listener.socket.getsockname()[1] for listener in (first, second)}
            assert ports == {port}
            accepted = {first: 0, second: 0}
            async with trio.open_nursery() as nursery:
                for listener in accepted:
                    nursery.start_soon(_accept, listener, accepted)
                while not all(accepted.values()):
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                nursery.cancel_scope.cancel()


async def _accept(listener: trio.SocketListener, accepted: dict[trio.SocketListener, int]) -> None:
    while True:
        await (await listener.accept()).aclose()
        accepted[listener] += 1


async def test_a_reserved_port_takes_no_connection() -> None:
    names = await resolve("127.0.0.1", 0)
    with reserved(names) as (address,), pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", address.port)


async def test_another_server_is_not_shared_with_even_if_it_shares() -> None:
    with reserved(await resolve("127.0.0.1", 0)) as addresses:
        (listener,) = listen(addresses)
        async with listener:
            in_use = os.strerror(errno.EADDRINUSE)
            with pytest.raises(OSError, match=in_use), reserved(addresses):
                pass


async def test_every_address_is_reserved_and_shared() -> None:
    with reserved(await resolve("::", 0)) as addresses:
        first, second = listen(addresses), listen(addresses)
        try:
            assert len(addresses) == len(first) == len(second) >= 1
            assert len({address.port for address in addresses}) == 1
        finally:
            for listener in (*first, *second):
                await listener.aclose()
