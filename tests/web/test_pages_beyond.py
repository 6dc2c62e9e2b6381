"""Pages beyond loopback: a token that is made, TLS with the server's own certificate."""

from __future__ import annotations

import gc
import shutil
import ssl
from functools import partial
from pathlib import Path

import h11
import pytest
import structlog.testing
import trio
import trio.testing
from repositories import shelf_of

from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.errors import SetupError
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.own_rows import own_fleet
from audio_server.identity.dev_certs import DevCerts, make_dev_certs
from audio_server.settings import Settings
from audio_server.web import connection
from audio_server.web.context import Context
from audio_server.web.server import open_pages


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> DevCerts:
    return make_dev_certs(tmp_path_factory.mktemp("papers"), ["localhost"], [])


@pytest.fixture
def settings(tmp_path: Path) -> partial[Settings]:
    """Settings of a server on all addresses."""
    return partial(Settings, http="0.0.0.0:0", data=tmp_path)


def house_of(settings: Settings) -> Context:
    nobody = own_fleet(DevicesHere(Devices((), Rules(clips=0), 0.3)))
    context = Context(settings, 1, shelf_of(), nobody, trio.Event(), str)
    context.ready.set()
    return context


async def asked(stream: trio.abc.Stream, path: str, **headers: str) -> int:
    """The status of what is answered."""
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=path, headers=[("host", "door"), *headers.items()])
    await stream.send_all(client.send(request) or b"")
    await stream.send_all(client.send(h11.EndOfMessage()) or b"")
    events = []
    with trio.fail_after(30):
        while not events or not isinstance(events[-1], h11.EndOfMessage):
            if (event := client.next_event()) is h11.NEED_DATA:
                client.receive_data(bytes(await stream.receive_some()))
            else:
                events.append(event)
    assert isinstance(events[0], h11.Response)
    return events[0].status_code


async def test_a_token_is_made_and_said_where(settings, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with open_pages(house_of(settings())):
            await trio.testing.wait_all_tasks_blocked()
            port = int(logs[0]["url"].rsplit(":", 1)[1])
            token = (tmp_path / "http-token").read_text().strip()
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                assert await asked(stream, "/api/about") == 401
                bearer = f"Bearer {token}"
                assert await asked(stream, "/api/about", authorization=bearer) == 200
    assert logs[0]["token_file"] == str(tmp_path / "http-token")
    assert (logs[1]["event"], logs[1]["log_level"]) == (
        "the operators' token is sent in the clear",
        "warning",
    )


async def test_without_a_place_for_it_there_is_no_server(settings) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(SetupError, match="--http-token-file")):
        async with open_pages(house_of(settings(data=None))):
            raise AssertionError("not reached")


async def test_the_pages_have_the_servers_certificate_and_the_newest(
    settings, papers: DevCerts, tmp_path: Path
) -> None:
    cert, key = (
        Path(shutil.copy(path, tmp_path)) for path in (papers.server.cert, papers.server.key)
    )
    context = house_of(settings(tls_cert=cert, tls_key=key))
    with structlog.testing.capture_logs() as logs:
        async with open_pages(context):
            await trio.testing.wait_all_tasks_blocked()
            assert logs[0]["url"].startswith("https://0.0.0.0:")
            assert len(logs) == 1  # nothing to warn of
            port = int(logs[0]["url"].rsplit(":", 1)[1])
            await check_tls(port, papers.ca)
            newer = make_dev_certs(tmp_path / "newer", ["localhost"], [])
            shutil.copy(newer.server.cert, cert)
            shutil.copy(newer.server.key, key)
            context.reload()
            await check_tls(port, newer.ca)
            cert.write_text("no certificate")
            context.reload()
            await check_tls(port, newer.ca)
            assert logs[-1]["event"] == "files of the pages not reloaded"
            async with await trio.open_tcp_stream("127.0.0.1", port) as plain:
                await plain.send_all(b"GET / HTTP/1.1\r\nhost: door\r\n\r\n")
                with trio.fail_after(30):
                    assert not (await plain.receive_some()).startswith(b"HTTP")


async def test_a_silent_client_has_no_state_of_openssl(
    settings, papers: DevCerts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HANDSHAKE_S", 0.5)
    secured = settings(tls_cert=papers.server.cert, tls_key=papers.server.key)
    gc.collect()  # clients of other tests
    with structlog.testing.capture_logs() as logs:
        async with open_pages(house_of(secured)):
            await trio.testing.wait_all_tasks_blocked()
            port = int(logs[0]["url"].rsplit(":", 1)[1])
            async with await trio.open_tcp_stream("127.0.0.1", port) as silent:
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert tls_objects() == 0
                with trio.fail_after(30):
                    assert await silent.receive_some() == b""
            async with await trio.open_tcp_stream("127.0.0.1", port) as begun:
                await begun.send_all(b"\x16")
                await trio.testing.wait_all_tasks_blocked(0.05)
                assert tls_objects() == 1
                with trio.fail_after(30):
                    assert await begun.receive_some() == b""


def tls_objects() -> int:
    """Count the TLS connections of this process that OpenSSL knows."""
    return sum(isinstance(each, ssl.SSLObject) for each in gc.get_objects())


async def check_tls(port: int, ca: Path) -> None:
    """The pages are HTTP/1.1 behind a certificate of this authority."""
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2", "http/1.1"])
    transport = await trio.open_tcp_stream("127.0.0.1", port)
    secure = trio.SSLStream(transport, context, server_hostname="localhost", https_compatible=True)
    async with secure as stream:
        assert await asked(stream, "/healthz") == 200
        assert stream.selected_alpn_protocol() == "http/1.1"
        assert await asked(stream, "/device") == 303


async def test_whoever_sends_too_much_hears_why(tmp_path: Path) -> None:
    """Even while the file is still being sent: a connection that is cut says nothing."""
    context = house_of(Settings(http="127.0.0.1:0", clips=tmp_path))
    context.repository.folder = tmp_path
    context.repository.max_bytes = 1000
    with structlog.testing.capture_logs() as logs:
        async with open_pages(context):
            await trio.testing.wait_all_tasks_blocked()
            port = int(logs[0]["url"].rsplit(":", 1)[1])
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                size = 3_000_000
                head = f"content-length: {size}\r\ncontent-type: audio/flac\r\n\r\n"
                target = "POST /api/clips?name=x.flac HTTP/1.1\r\nhost: localhost\r\n"
                with trio.fail_after(30):
                    await stream.send_all(f"{target}{head}".encode() + bytes(size))
                    answer = await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 413")
