"""A server listens on every address of its host, with one port, or says why it cannot."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import trio
from host_names import BOTH, Names, has_ipv6
from structlog.testing import capture_logs

from audio_server.process.addresses import (
    Address,
    bind_all,
    bound_socket,
    listening_socket,
    open_listeners,
    resolve,
)
from audio_server.settings.addresses import reachable

V4, V6 = socket.AF_INET, socket.AF_INET6


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
async def names() -> Names:
    resolver = Names()
    trio.socket.set_custom_hostname_resolver(resolver)
    return resolver


@contextmanager
def closed(socks: list[socket.socket]) -> Iterator[list[socket.socket]]:
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


async def answers(host: str, port: int) -> bool:
    try:
        await (await trio.open_tcp_stream(host, port)).aclose()
    except OSError:
        return False
    return True


async def close(listeners: list[trio.SocketListener]) -> None:
    for listener in listeners:
        await listener.aclose()


def ports_of(listeners: list[trio.SocketListener]) -> set[int]:
    return {listener.socket.getsockname()[1] for listener in listeners}


@needs_ipv6
@pytest.mark.parametrize("host", ["::", ""])
async def test_every_address_is_one_of_ipv4_too(host: str) -> None:
    listeners = await open_listeners(host, 0)
    (port,) = ports_of(listeners)
    assert await answers("127.0.0.1", port)
    assert await answers("::1", port)
    await close(listeners)


@needs_ipv6
async def test_a_client_of_ipv4_keeps_its_address() -> None:
    listeners = await open_listeners("::", 0)
    (port,) = ports_of(listeners)
    async with await trio.open_tcp_stream("127.0.0.1", port):
        with trio.fail_after(30):
            (listener,) = (each for each in listeners if each.socket.family == V4)
            async with await listener.accept() as stream:
                assert stream.socket.getpeername()[0] == "127.0.0.1"
    await close(listeners)


@needs_ipv6
async def test_a_name_has_all_its_addresses_and_one_port(names: Names) -> None:
    listeners = await open_listeners(BOTH, 0)
    assert len(listeners) == 2
    (port,) = ports_of(listeners)
    assert await answers("127.0.0.1", port)
    assert await answers("::1", port)
    await close(listeners)


async def test_an_address_is_listed_once(names: Names) -> None:
    assert [str(each) for each in await resolve(BOTH, 7)] == ["127.0.0.1:7", "[::1]:7"]


def without_ipv6(number: int) -> Any:
    """A machine without it, as it says so by this error."""

    def make(address: Address) -> socket.socket:
        if address.family == V6:
            raise OSError(number, os.strerror(number))
        return listening_socket(address)

    return make


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_without_ipv6_every_address_is_that_of_ipv4(number: int) -> None:
    with (
        capture_logs() as logs,
        closed(bind_all(await resolve("::", 0), without_ipv6(number))) as (sock,),
    ):
        assert sock.getsockname()[0] == "0.0.0.0"
        assert await answers("127.0.0.1", sock.getsockname()[1])
    assert [(line["event"], line["address"]) for line in logs] == [("address left out", "[::]:0")]


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_an_address_that_is_not_there_is_an_error(number: int) -> None:
    with pytest.raises(OSError, match="choose an") as raised:
        bind_all([Address(V6, ("::1", 7, 0, 0))], without_ipv6(number))
    assert (raised.value.errno, raised.value.filename) == (number, "[::1]:7")


async def test_a_free_port_is_free_on_all_addresses() -> None:
    """The first ports that are free on one address are taken on the other."""
    tried: list[int] = []

    def make(address: Address) -> socket.socket:
        if address.family == V6:
            tried.append(address.port)
            if len(tried) < 4:
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return bound_socket(Address(V4, ("127.0.0.1", 0)))

    with closed(bind_all([Address(V4, ("", 0)), Address(V6, ("", 0, 0, 0))], make)) as socks:
        assert len(socks) == 2
    assert len(tried) == 4
    assert 0 not in tried


async def test_where_no_port_is_free_on_all_it_is_an_error() -> None:
    def make(address: Address) -> socket.socket:
        if address.family == V6:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return bound_socket(Address(V4, ("127.0.0.1", 0)))

    with pytest.raises(OSError, match="choose another port"):
        bind_all([Address(V4, ("", 0)), Address(V6, ("", 0, 0, 0))], make)


async def test_a_port_that_is_taken_on_one_address_is_an_error(names: Names) -> None:
    with closing(listening_socket(Address(V4, ("127.0.0.1", 0)))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="already in use: choose another port") as raised:
            await open_listeners(BOTH, port)
    assert raised.value.filename == f"127.0.0.1:{port}"


async def test_a_name_that_is_none(names: Names) -> None:
    with pytest.raises(OSError, match="not known: choose an address of this machine") as raised:
        await open_listeners("nowhere.invalid", 1)
    assert raised.value.filename == "nowhere.invalid"


@pytest.mark.parametrize("host", ["a" * 64, "a..b", "a\0b"])
async def test_a_text_that_is_no_name(host: str) -> None:
    with pytest.raises(OSError, match="choose an address of this machine") as raised:
        await open_listeners(host, 1)
    assert raised.value.filename == host


async def test_an_address_of_another_machine() -> None:
    with pytest.raises(OSError, match="choose an address of this machine") as raised:
        await open_listeners("192.0.2.1", 7)
    assert raised.value.filename == "192.0.2.1:7"


def test_a_server_of_every_address_is_reached_on_loopback() -> None:
    reached = {host: reachable(host) for host in ("::", "0.0.0.0", "", "::1", "10.0.0.1")}
    assert reached == {
        "::": "127.0.0.1",
        "0.0.0.0": "127.0.0.1",
        "": "127.0.0.1",
        "::1": "::1",
        "10.0.0.1": "10.0.0.1",
    }
