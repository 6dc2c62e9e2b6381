"""Servers that ask who is there, over real sockets: who gets in, and what strangers can do."""

from __future__ import annotations

import signal
import socket
from dataclasses import replace

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from guarded import CALLS, device, press, serving
from papers import HALL, KITCHEN

from audio_server.app import serve_until
from audio_server.errors import SetupError
from audio_server.identity.tokens import TOKENS_FILE, enroll, revoke

NEEDS_TOKEN = (Status.UNAUTHENTICATED, "the device's token is needed")
NOT_HIS = (Status.PERMISSION_DENIED, "the certificate is not this device's")


@pytest.fixture(autouse=True)
async def in_time():
    """Nothing here may hang."""
    with trio.fail_after(20):
        yield


@pytest.fixture
def tokens(tmp_path, monkeypatch):
    """The file of tokens, which the server looks at all the time."""
    monkeypatch.setattr("audio_server.identity.token_reloader.LOOK_S", 0.01)
    return tmp_path / "data" / TOKENS_FILE


async def test_a_device_over_tls(settings, papers) -> None:
    async with (
        serving(settings(tls=True)) as server,
        device(server, KITCHEN, context=papers.context()) as caller,
    ):
        for name in ("StatusStream", "EventStream"):
            assert await caller.ask(name) == (Status.OK, None)


async def test_a_server_with_tls_serves_nothing_else(settings, logged) -> None:
    async with serving(settings(tls=True)) as server, device(server, KITCHEN) as caller:
        status, _ = await caller.ask()
        assert status is Status.UNAVAILABLE
    failed = [entry for entry in logged if entry["event"] == "TLS handshake failed"]
    assert len(failed) == 1


async def test_a_device_with_its_certificate(settings, papers) -> None:
    async with (
        serving(settings(mutual=True)) as server,
        device(server, KITCHEN, context=papers.context(KITCHEN)) as caller,
    ):
        assert await caller.ask() == (Status.OK, None)


async def test_a_device_without_a_certificate_gets_no_connection(settings, papers) -> None:
    async with (
        serving(settings(mutual=True)) as server,
        device(server, KITCHEN, context=papers.context()) as caller,
    ):
        status, _ = await caller.ask()
        assert status is Status.UNAVAILABLE


@pytest.mark.parametrize("name", CALLS)
async def test_another_devices_certificate_does_nothing_to_a_session(
    name, settings, papers
) -> None:
    async with (
        serving(settings(mutual=True)) as server,
        device(server, KITCHEN, context=papers.context(KITCHEN)) as kitchen,
        kitchen.events() as events,
        device(server, KITCHEN, context=papers.context(HALL)) as thief,
        device(server, "nobody", context=papers.context(HALL)) as seeker,
    ):
        assert await press(events)
        assert await thief.ask(name) == NOT_HIS
        assert await seeker.ask(name) == NOT_HIS
        assert await press(events)


async def test_a_device_with_its_token(settings, tokens) -> None:
    token = enroll(tokens, KITCHEN)
    async with (
        serving(settings(tokens="required")) as server,
        device(server, KITCHEN, token=token) as caller,
    ):
        assert await caller.ask() == (Status.OK, None)


@pytest.mark.parametrize("name", CALLS)
async def test_a_wrong_token_does_nothing_to_a_session_and_tells_nothing(
    name, settings, tokens, logged
) -> None:
    token, other = enroll(tokens, KITCHEN), enroll(tokens, HALL)
    async with (
        serving(settings(tokens="required")) as server,
        device(server, KITCHEN, token=token) as kitchen,
        kitchen.events() as events,
    ):
        assert await press(events)
        for stranger_id in (KITCHEN, "nobody"):
            for wrong in (other, "guessed", None):
                async with device(server, stranger_id, token=wrong) as stranger:
                    for _ in range(3):
                        assert await stranger.ask(name) == NEEDS_TOKEN
        assert await press(events)
    refused = [entry for entry in logged if entry["event"] == "request refused"]
    assert len(refused) == 6  # one for each connection
    assert {entry["device"] for entry in refused} == {KITCHEN, "nobody"}


async def test_a_revoked_device_is_dropped_and_the_others_are_not(settings, tokens) -> None:
    token, other = enroll(tokens, KITCHEN), enroll(tokens, HALL)
    async with (
        serving(settings(tokens="required")) as server,
        device(server, KITCHEN, token=token) as kitchen,
        device(server, HALL, token=other) as hall,
        kitchen.events() as events,
        hall.events() as others,
    ):
        assert await press(events)
        assert await press(others)
        revoke(tokens, KITCHEN)
        with pytest.raises(GRPCError) as ended:
            await events.recv_message()
        assert ended.value.status is Status.UNAUTHENTICATED
        with trio.fail_after(1):  # its connection too, long before it counts as idle
            while (await kitchen.ask())[0] is not Status.UNAVAILABLE:
                pass
        async with device(server, KITCHEN, token=token) as back:
            assert await back.ask() == NEEDS_TOKEN
        assert await press(others)


async def test_who_shares_a_connection_with_a_revoked_device_stays(settings, tokens) -> None:
    """As behind a proxy, which sends the calls of many devices over one connection."""
    token, other = enroll(tokens, KITCHEN), enroll(tokens, HALL)
    async with (
        serving(settings(tokens="required")) as server,
        device(server, KITCHEN, token=token) as kitchen,
        kitchen.events() as events,
        kitchen.as_device(HALL, other).events() as others,
    ):
        assert await press(events)
        assert await press(others)
        revoke(tokens, KITCHEN)
        with pytest.raises(GRPCError) as ended:
            await events.recv_message()
        assert ended.value.status is Status.UNAUTHENTICATED
        assert await press(others)
        assert await kitchen.ask() == NEEDS_TOKEN
        assert await press(others)


async def test_a_device_that_is_enrolled_while_the_server_runs(settings, tokens) -> None:
    async with serving(settings(tokens="required")) as server:
        token = enroll(tokens, KITCHEN)
        async with device(server, KITCHEN, token=token) as caller:
            while await caller.ask() == NEEDS_TOKEN:  # noqa: ASYNC110
                await trio.sleep(0.01)
            assert await caller.ask() == (Status.OK, None)


async def test_where_both_are_asked_for_both_are_needed(settings, papers, tokens) -> None:
    token = enroll(tokens, KITCHEN)
    context = papers.context(KITCHEN)
    async with serving(settings(mutual=True, tokens="required")) as server:
        async with device(server, KITCHEN, context=context, token=token) as caller:
            assert await caller.ask() == (Status.OK, None)
        async with device(server, KITCHEN, context=context) as caller:
            assert await caller.ask() == NEEDS_TOKEN
        async with device(server, KITCHEN, context=papers.context(HALL), token=token) as caller:
            assert await caller.ask() == NOT_HIS


async def test_who_dawdles_at_the_door_delays_nobody(settings, papers) -> None:
    async with serving(settings(tls=True)) as server:
        dawdlers = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
        async with device(server, KITCHEN, context=papers.context()) as caller:
            assert await caller.ask() == (Status.OK, None)
        server.stop.set()
        with trio.fail_after(5):  # less than a handshake may take, and than the grace time
            await server.stopped.wait()
        for dawdler in dawdlers:
            dawdler.close()


async def test_a_hangup_reads_certificates_anew(
    settings, papers, strange, tmp_path, logged
) -> None:
    cert, key = tmp_path / "server.pem", tmp_path / "server.key"

    def install(pair) -> None:
        cert.write_bytes(pair.cert.read_bytes())
        key.write_bytes(pair.key.read_bytes())

    async def wait_logged(event: str) -> None:
        while event not in [entry["event"] for entry in logged]:  # noqa: ASYNC110
            await trio.sleep(0.01)

    install(papers.certs.server)
    async with (
        serving(replace(settings(), tls_cert=cert, tls_key=key)) as server,
        device(server, KITCHEN, context=papers.context()) as old,
        old.events() as events,
    ):
        assert await press(events)
        install(strange.certs.server)
        signal.raise_signal(signal.SIGHUP)
        await wait_logged("certificates reloaded")
        async with device(server, HALL, context=strange.context()) as new:
            assert await new.ask() == (Status.OK, None)
        with pytest.raises(ConnectionError):
            async with device(server, HALL, context=papers.context()):
                pass
        assert await press(events)
        key.write_text("no key")
        signal.raise_signal(signal.SIGHUP)
        await wait_logged("certificates not reloaded")
        async with device(server, HALL, context=strange.context()) as new:
            assert await new.ask() == (Status.OK, None)


async def test_bad_files_end_the_server_before_it_listens(settings, tmp_path) -> None:
    bad = replace(settings(tls=True), tls_key=tmp_path / "nowhere", port=1)
    with pytest.raises(SetupError, match="nowhere: No such file"):
        await serve_until(trio.Event(), bad)
