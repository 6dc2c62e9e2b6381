"""One port for many processes, and for nobody else."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pytest
import trio
from free_ports import free_ports

from audio_server.process.addresses import Address, resolve
from audio_server.workers.sockets import (
    SharedListener,
    WorkerSockets,
    listen,
    reserved,
    reserved_each,
)


def inherited(sockets: WorkerSockets) -> list[SharedListener]:
    """What a process does with the files that it inherits."""
    return listen([os.dup(fd) for fd in sockets.fds])


@contextmanager
def both(addresses: Sequence[Address]) -> Iterator[tuple[list[SharedListener], ...]]:
    """The listeners of two processes, which the test closes."""
    with closing(WorkerSockets(addresses)) as one, closing(WorkerSockets(addresses)) as two:
        yield inherited(one), inherited(two)


async def test_a_free_port_is_found_once_and_shared_by_all() -> None:
    with (
        reserved(await resolve("127.0.0.1", 0)) as addresses,
        both(addresses) as ((first,), (second,)),
    ):
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


async def _accept(listener: SharedListener, accepted: dict[SharedListener, int]) -> None:
    while True:
        await (await listener.accept()).aclose()
        accepted[listener] += 1


async def test_a_reserved_port_takes_no_connection() -> None:
    names = await resolve("127.0.0.1", 0)
    with reserved(names) as (address,), pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", address.port)


async def test_another_server_is_not_shared_with_even_if_it_shares() -> None:
    with (
        reserved(await resolve("127.0.0.1", 0)) as addresses,
        both(addresses) as ((listener,), (other,)),
    ):
        async with listener, other:
            in_use = os.strerror(errno.EADDRINUSE)
            with pytest.raises(OSError, match=in_use), reserved(addresses):
                pass


async def test_every_address_is_reserved_and_shared() -> None:
    with reserved(await resolve("::", 0)) as addresses, both(addresses) as (first, second):
        try:
            assert len(addresses) == len(first) == len(second) >= 1
            assert len({address.port for address in addresses}) == 1
        finally:
            for listener in (*first, *second):
                await listener.aclose()


async def test_the_port_is_taken_from_a_process_that_hangs() -> None:
    with reserved(await resolve("127.0.0.1", 0)) as addresses:
        hung, other = WorkerSockets(addresses), WorkerSockets(addresses)
        (deaf,), (listener,) = inherited(hung), inherited(other)
        hung.close()
        async with trio.open_nursery() as nursery:
            accepted = {listener: 0}
            nursery.start_soon(_accept, listener, accepted)
            for _ in range(20):
                await (await trio.open_tcp_stream("127.0.0.1", addresses[0].port)).aclose()
            with trio.fail_after(30):
                while accepted[listener] < 20:  # noqa: ASYNC110 - nobody tells
                    await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        other.close()
        await deaf.aclose()
        await listener.aclose()


async def test_a_process_that_drains_gives_its_port_back_by_itself() -> None:
    with reserved(await resolve("127.0.0.1", 0)) as addresses:
        sockets = WorkerSockets(addresses)
        (listener,) = inherited(sockets)
        await listener.aclose()
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", addresses[0].port)
        sockets.close()


async def test_a_process_that_does_not_listen_yet_keeps_nobody_waiting() -> None:
    with (
        reserved(await resolve("127.0.0.1", 0)) as addresses,
        closing(WorkerSockets(addresses)) as sockets,
    ):
        assert len(sockets.fds) == 1
        with pytest.raises(OSError, match="all attempts to connect"):
            await trio.open_tcp_stream("127.0.0.1", addresses[0].port)


async def test_each_worker_has_a_port_of_its_own() -> None:
    first = free_ports(2)
    names = await resolve("127.0.0.1", 0)
    with reserved(names) as shared, reserved_each(shared, first, 2) as own:
        assert {number: [one.port for one in ones] for number, ones in own.items()} == {
            1: [first],
            2: [first + 1],
        }
        with closing(WorkerSockets([*shared, *own[2]])) as sockets:
            listeners = inherited(sockets)
            ports = [listener.socket.getsockname()[1] for listener in listeners]
            assert ports == [shared[0].port, first + 1]
            for listener in listeners:
                await listener.aclose()


async def test_workers_have_no_ports_unless_told() -> None:
    with reserved(await resolve("127.0.0.1", 0)) as shared, reserved_each(shared, 0, 2) as own:
        assert own == {1: [], 2: []}


async def test_ports_of_workers_end_with_the_last_there_is() -> None:
    names = await resolve("127.0.0.1", 0)
    too_high = "2 workers need ports up to 65536"
    with pytest.raises(OSError, match=too_high), reserved_each(names, 65_535, 2):
        pass


async def test_ports_of_workers_are_neither_shared_nor_taken() -> None:
    first = free_ports(3)
    with reserved(await resolve("127.0.0.1", first + 1)) as shared:
        with pytest.raises(OSError, match="that all share"), reserved_each(shared, first, 2):
            pass
        with (
            socket.create_server(("127.0.0.1", first + 2)),
            pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)),
            reserved_each(shared, first + 2, 1),
        ):
            pass
