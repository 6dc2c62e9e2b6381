"""The HTTP server in the server's own loop: who may ask, and what becomes of it in a drain."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog.testing
import trio
import trio.testing
from host_names import BOTH, Names, has_ipv6
from repositories import shelf_of

from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.own_rows import own_fleet
from audio_server.settings import Settings
from audio_server.settings.addresses import parse_address
from audio_server.web import server
from audio_server.web.context import Context
from audio_server.web.origins import is_own_origin, may_be_named
from audio_server.web.server import open_pages

NOBODY = own_fleet(DevicesHere(Devices((), Rules(clips=0), 0.3)))
UPGRADE = (
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


def house_at(http: str, **settings: Any) -> Context:
    settings = {"data": None, **settings}
    return Context(Settings(http=http, **settings), 1, shelf_of(), NOBODY, trio.Event(), str)


@asynccontextmanager
async def pages(context: Context) -> AsyncIterator[str]:
    """Pages that are served for as long as the block; gives HOST:PORT."""
    with structlog.testing.capture_logs() as logs:
        async with open_pages(context):
            context.ready.set()
            await trio.testing.wait_all_tasks_blocked()
            yield str(logs[0]["url"]).removeprefix("http://")
    assert [line for line in logs if line["log_level"] == "error"] == []


async def ask(at: str, path: str, host: str = "", more: str = "") -> str:
    """The whole answer to one request."""
    name, port = at.rsplit(":", 1)
    async with await trio.open_tcp_stream(name, int(port)) as stream:
        await stream.send_all(f"GET {path} HTTP/1.1\r\nhost: {host or at}\r\n{more}\r\n".encode())
        with trio.fail_after(30):
            head, _, body = (await _received(stream)).partition(b"\r\n\r\n")
            length = sum(map(int, re.findall(rb"content-length: (\d+)", head)))
            while len(body) < length:
                body += await _received(stream)
    return (head + b"\r\n\r\n" + body).decode()


async def _received(stream: trio.SocketStream) -> bytes:
    data = await stream.receive_some()
    assert data, "the connection ended early"
    return bytes(data)


def status(answer: str) -> int:
    return int(answer.split()[1])


async def test_ready_means_that_devices_are_welcome() -> None:
    context = house_at("127.0.0.1:0")
    async with pages(context) as at:
        assert status(await ask(at, "/readyz")) == status(await ask(at, "/healthz")) == 200
        context.stop.set()
        assert status(await ask(at, "/readyz")) == 503
        assert status(await ask(at, "/healthz")) == 200
    with pytest.raises(OSError, match="connect"):
        await ask(at, "/healthz")


@pytest.mark.parametrize("path", ["/device", "/static/device.js", "/nothing", "/healthz"])
async def test_every_answer_forbids_what_is_not_ours(path: str) -> None:
    async with pages(house_at("127.0.0.1:0")) as at:
        answer = await ask(at, path)
    assert "content-security-policy: default-src 'none'; script-src 'self';" in answer
    assert "x-content-type-options: nosniff" in answer


@pytest.mark.parametrize("path", ["/device", "/static/device.js"])
async def test_a_file_that_is_known_is_not_sent_again(path: str) -> None:
    async with pages(house_at("127.0.0.1:0")) as at:
        (tag,) = re.findall(r'etag: (".+?")', await ask(at, path))
        assert status(await ask(at, path, more=f"if-none-match: {tag}\r\n")) == 304
        assert status(await ask(at, path, more='if-none-match: "other"\r\n')) == 200


async def test_who_asks_to_close_is_closed() -> None:
    async with pages(house_at("127.0.0.1:0")) as at:
        name, port = at.split(":")
        async with await trio.open_tcp_stream(name, int(port)) as stream:
            request = f"GET /device HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n"
            await stream.send_all(request.encode())
            with trio.fail_after(30):
                assert b"".join([part async for part in stream]).endswith(b"</html>\n")


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py"])
async def test_nothing_but_the_pages_is_given_out(path: str) -> None:
    async with pages(house_at("127.0.0.1:0")) as at:
        assert status(await ask(at, path)) == 404


async def test_a_name_that_somebody_gave_to_loopback_is_refused() -> None:
    async with pages(house_at("127.0.0.1:0")) as at:
        assert status(await ask(at, "/device", host="evil.example")) == 421
        evil = UPGRADE + "origin: http://evil.example\r\n"
        assert status(await ask(at, "/device/socket?id=a", host="evil.example", more=evil)) == 403


@pytest.mark.parametrize("origin", ["", "origin: http://evil.example\r\n"])
async def test_a_page_of_somebody_else_gets_no_device(origin: str) -> None:
    async with pages(house_at("127.0.0.1:0")) as at:
        assert status(await ask(at, "/device/socket?id=a", more=UPGRADE + origin)) == 403


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"tokens": "required"}, b"token"), ({"tls_client_ca": "ca.pem"}, b"certificate")],
)
async def test_a_server_that_asks_who_is_there_has_no_device_for_a_page(
    settings: dict[str, object], reason: bytes
) -> None:
    async with pages(house_at("127.0.0.1:0", **settings)) as at:
        name, port = at.split(":")
        async with await trio.open_tcp_stream(name, int(port)) as stream:
            head = f"GET /device/socket?id=a HTTP/1.1\r\nhost: {at}\r\norigin: http://{at}\r\n"
            await stream.send_all(f"{head}{UPGRADE}\r\n".encode())
            received = b""
            with trio.fail_after(30):
                while reason not in received:
                    part = await stream.receive_some()
                    assert part, received
                    received += part


async def test_off_is_off() -> None:
    async with open_pages(house_at("off")):
        pass


async def test_an_address_that_was_asked_for_must_be_free() -> None:
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    at = f"127.0.0.1:{taken.socket.getsockname()[1]}"
    with pytest.raises(OSError, match="in use") as raised:
        async with open_pages(house_at(at)):
            pass
    assert raised.value.filename == at
    await taken.aclose()


async def test_the_default_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = taken.socket.getsockname()[1]
    at = f"127.0.0.1:{port}"
    monkeypatch.setattr(server, "DEFAULT_HTTP", at)
    with structlog.testing.capture_logs() as logs:
        async with open_pages(context := house_at(at)):
            context.ready.set()
            await trio.testing.wait_all_tasks_blocked()
    assert [(line["event"], line["taken"]) for line in logs] == [("pages", at)]
    used = int(logs[0]["url"].rpartition(":")[2])
    assert port < used < port + server.PORTS
    await taken.aclose()


async def test_where_no_port_is_free_there_are_no_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    at = f"127.0.0.1:{taken.socket.getsockname()[1]}"
    monkeypatch.setattr(server, "DEFAULT_HTTP", at)
    monkeypatch.setattr(server, "PORTS", 1)
    with structlog.testing.capture_logs() as logs:
        async with open_pages(context := house_at(at)):
            context.ready.set()
            await trio.testing.wait_all_tasks_blocked()
    assert [line["event"] for line in logs] == ["no pages: the port is taken"]
    await taken.aclose()


async def test_the_default_in_the_users_own_words_must_be_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    at = f"127.0.0.1:{taken.socket.getsockname()[1]}"
    monkeypatch.setattr(server, "DEFAULT_HTTP", at)
    typed = at.encode().decode()
    with pytest.raises(OSError, match="in use"):
        async with open_pages(house_at(typed)):
            pass
    await taken.aclose()


async def test_a_fault_of_the_pages_ends_them_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("audio_server.web.app.make_app", fail)
    with structlog.testing.capture_logs() as logs:
        async with open_pages(house_at("127.0.0.1:0")):
            await trio.testing.wait_all_tasks_blocked()
    assert [line["event"] for line in logs] == ["pages failed"]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:81", "::1", 81),
        ("door.example:80", "door.example", 80),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert address == (host, port)
    assert str(address) == text
    assert parse_address("off") is None


@pytest.mark.parametrize(
    "text", ["", "8080", "host", ":80", "host:x", "host:65536", "a:1/b", "u@a:1"]
)
def test_anything_else_is_the_users_mistake(text: str) -> None:
    with pytest.raises(ValueError, match="neither off nor HOST:PORT"):
        parse_address(text)


def test_whose_origin_it_is() -> None:
    assert is_own_origin("http://a:80", "a:80")
    assert not is_own_origin("http://a:80", "b:80")
    assert not is_own_origin("null", "a")
    assert not is_own_origin("http://[", "a")
    assert not is_own_origin(None, "a")
    assert may_be_named("localhost:80", loopback_only=True)
    assert may_be_named("[::1]:80", loopback_only=True)
    assert not may_be_named("evil.example", loopback_only=True)
    assert may_be_named("door.example", loopback_only=False)
    assert not may_be_named(None, loopback_only=False)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_pages_are_on_every_address_of_their_name() -> None:
    trio.socket.set_custom_hostname_resolver(Names())
    async with pages(house_at(f"{BOTH}:0")) as at:
        assert at.startswith("127.0.0.1:")
        assert status(await ask(at, "/healthz")) == 200
        assert status(await ask(at.replace("127.0.0.1", "::1"), "/healthz", at)) == 200
