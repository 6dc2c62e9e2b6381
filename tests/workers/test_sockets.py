"""One port for many processes, and for nobody else."""

from __future__ import annotations

import errno
import os
import socket

import pytest
import trio

from audio_server.workers.sockets import listen, reserved, resolve


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


async def test_all_addresses_of_a_name_get_the_same_port() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    names = [*await resolve("127.0.0.1", 0), *await resolve("::1", 0)]
    try:
        with reserved(names) as addresses:
            assert len(addresses) == 2
            assert len({address.port for address in addresses}) == 1
            for listener in listen(addresses):
                await listener.aclose()
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            pytest.skip("no IPv6 here")
        raise


async def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError, match=r".+"):
        await resolve("nowhere.invalid", 1)
