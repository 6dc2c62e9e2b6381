"""What settings ask of devices, and what they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
from fake_calls import FakeCall
from grpclib.exceptions import GRPCError

from audio_server.errors import SetupError
from audio_server.identity.access_policy import AccessPolicy
from audio_server.identity.tokens import Enrolment, hash_token
from audio_server.settings import LimitSettings


@pytest.mark.parametrize("missing", ["tls_cert", "tls_key"])
def test_a_certificate_needs_its_key(missing, settings) -> None:
    with pytest.raises(SetupError, match="needs both --tls-cert and --tls-key"):
        AccessPolicy(replace(settings(tls=True), **{missing: None}))


def test_client_certificates_need_tls(settings, papers) -> None:
    with pytest.raises(SetupError, match="needs both --tls-cert and --tls-key"):
        AccessPolicy(replace(settings(), tls_client_ca=papers.certs.ca))


def test_tokens_need_a_folder(settings) -> None:
    with pytest.raises(SetupError, match="needs a data folder"):
        AccessPolicy(replace(settings(tokens="required"), data=None))


OPEN = [("0.0.0.0", 50051), ("::", 50051, 0, 0), ("192.0.2.1", 1), ("fe80::1%eth0", 1, 0, 2)]


@pytest.mark.parametrize("address", OPEN)
def test_a_server_in_the_open_says_what_it_does_not_ask(address, settings, logged) -> None:
    for asked in ({}, {"tls": True}, {"tokens": "required"}, {"mutual": True}):
        AccessPolicy(settings(**asked)).warn([("127.0.0.1", 50051), address])
    assert [entry["event"] for entry in logged] == [
        "any peer that reaches the port can be any device",
        "any peer that reaches the port can be any device",
        "tokens are sent in the clear",
    ]
    assert {entry["log_level"] for entry in logged} == {"warning"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_a_server_of_this_machine_alone_says_nothing(host, settings, logged) -> None:
    AccessPolicy(settings()).warn([(host, 50051)])
    assert logged == []


class SharedTokens:
    """Those that some servers share, in memory."""

    is_up = True

    def __init__(self, **tokens: str) -> None:
        self.tokens = {name: Enrolment(name, hash_token(text), "") for name, text in tokens.items()}
        self._changed: list[Callable[[str], None]] = []

    def follow_tokens(self, changed: Callable[[str], None]) -> None:
        self._changed.append(changed)

    def revoke(self, device_id: str) -> None:
        del self.tokens[device_id]
        for changed in self._changed:
            changed(device_id)


async def test_a_token_that_another_server_takes_away_ends_calls_here(settings) -> None:
    shared = SharedTokens(kitchen="secret-of-the-kitchen", hall="secret-of-the-hall")
    policy = AccessPolicy(settings(tokens="required"), shared)

    async def stay() -> None:
        with policy.admit(FakeCall("Bearer secret-of-the-kitchen"), "kitchen"):
            shared.revoke("kitchen")
            await trio.lowlevel.checkpoint()

    with policy.admit(FakeCall("Bearer secret-of-the-hall"), "hall"):
        with pytest.raises(GRPCError, match="was revoked"):
            await stay()
        await trio.lowlevel.checkpoint()


async def test_how_long_a_handshake_may_take(settings, autojump_clock) -> None:
    access_policy = AccessPolicy(settings(tls=True, limits=LimitSettings(handshake_s=3)))
    near, far = trio.socket.socketpair()
    with near:
        assert await access_policy.secure(trio.SocketStream(far)) is None
    assert trio.current_time() == 3
