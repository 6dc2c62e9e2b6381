"""Who is let in, who is not, and how little the one who is not is told."""

from __future__ import annotations

import hmac

import pytest
import trio
from fake_calls import FakeCall
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.identity.authenticator import (
    AllOf,
    Authenticator,
    Certificates,
    NoAuth,
    Tokens,
    common_names,
)
from audio_server.identity.tokens import Enrolment, hash_token

TOKEN = "token-of-the-kitchen"
KITCHEN = Enrolment("kitchen", hash_token(TOKEN), "")
HALL = Enrolment("hall", hash_token("token-of-the-hall"), "")


Ends = dict[str, tuple[Status, str | None]]


@pytest.fixture
def tokens() -> Tokens:
    tokens = Tokens()
    tokens.use({"kitchen": KITCHEN, "hall": HALL})
    return tokens


def answer(
    identity: Authenticator, call: FakeCall, device_id: str
) -> tuple[Status, str | None] | None:
    """What a call is answered; None if it is let in."""
    try:
        with identity.admit(call, device_id):
            return None
    except GRPCError as error:
        return error.status, error.message


def test_without_identity_everybody_is_who_he_says() -> None:
    assert answer(NoAuth(), FakeCall(), "kitchen") is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_the_devices_token(scheme, tokens) -> None:
    assert answer(tokens, FakeCall(f"{scheme} {TOKEN}"), "kitchen") is None


@pytest.mark.parametrize(
    "authorizations",
    [
        [],
        [""],
        ["Bearer"],
        ["Bearer "],
        [TOKEN],
        [f"Basic {TOKEN}"],
        [f"Bearer  {TOKEN}"],
        [f"Bearer {TOKEN} "],
        [f"Bearer {TOKEN[:-1]}"],
        ["Bearer token-of-the-hall"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        ["Bearer \udcff"],
    ],
)
def test_all_else_is_the_same_for_devices_that_are_and_that_are_not(authorizations, tokens) -> None:
    call = FakeCall(*authorizations)
    refused = (Status.UNAUTHENTICATED, "the device's token is needed")
    assert answer(tokens, call, "kitchen") == refused
    assert answer(tokens, call, "nobody") == refused
    assert call.complaints == [refused[1]] * 2


def test_the_same_work_is_done_for_devices_that_are_and_that_are_not(tokens, monkeypatch) -> None:
    compared: list[tuple[int, int]] = []
    monkeypatch.setattr("audio_server.identity.authenticator.hmac", FakeHmac(compared))
    answer(tokens, FakeCall("Bearer wrong"), "kitchen")
    answer(tokens, FakeCall("Bearer wrong"), "nobody")
    answer(tokens, FakeCall(), "nobody")
    assert compared == [(32, 32)] * 3


class FakeHmac:
    def __init__(self, compared: list[tuple[int, int]]) -> None:
        self._compared = compared

    def compare_digest(self, a: bytes, b: bytes) -> bool:
        self._compared.append((len(a), len(b)))
        return hmac.compare_digest(a, b)


def test_while_devices_may_be_enrolled_elsewhere_a_refusal_is_not_final() -> None:
    tokens = Tokens(lambda: False)
    tokens.use({"kitchen": KITCHEN})
    call, refused = (
        FakeCall("Bearer wrong"),
        "the cluster is down: the device's token cannot be checked",
    )
    for device_id in ("kitchen", "nobody"):
        assert answer(tokens, call, device_id) == (Status.UNAVAILABLE, refused)


async def test_a_token_that_is_taken_away_ends_the_calls_of_its_device_alone() -> None:
    tokens, enrolments = Tokens(), {"kitchen": KITCHEN, "hall": HALL}
    tokens.use(enrolments)

    async def stay() -> None:
        with tokens.admit(FakeCall(f"Bearer {TOKEN}"), "kitchen"):
            tokens.review("kitchen")
            await trio.lowlevel.checkpoint()
            del enrolments["kitchen"]
            for device_id in ("kitchen", "nobody"):
                tokens.review(device_id)
            await trio.sleep_forever()

    with tokens.admit(FakeCall("Bearer token-of-the-hall"), "hall"):
        with pytest.raises(GRPCError, match="was revoked"):
            await stay()
        await trio.lowlevel.checkpoint()


def test_nobody_is_let_in_before_the_tokens_are_read() -> None:
    assert answer(Tokens(), FakeCall("Bearer "), "kitchen") is not None


async def hold(identity: Authenticator, device_id: str, token: str, ends: Ends) -> None:
    try:
        with identity.admit(FakeCall(f"Bearer {token}"), device_id):
            await trio.sleep_forever()
    except GRPCError as error:
        ends[device_id] = (error.status, error.message)


@pytest.mark.parametrize(
    "after", [{}, {"kitchen": Enrolment("kitchen", hash_token("another"), "")}]
)
async def test_a_revoked_device_is_dropped_and_the_others_are_not(after, tokens) -> None:
    ends: Ends = {}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, tokens, "kitchen", TOKEN, ends)
        nursery.start_soon(hold, tokens, "hall", "token-of-the-hall", ends)
        await trio.testing.wait_all_tasks_blocked()
        tokens.use({"kitchen": KITCHEN, "hall": HALL, "new": KITCHEN})
        await trio.testing.wait_all_tasks_blocked()
        assert ends == {}
        tokens.use({"hall": HALL, **after})
        await trio.testing.wait_all_tasks_blocked()
        assert ends == {"kitchen": (Status.UNAUTHENTICATED, "the device's token was revoked")}
        nursery.cancel_scope.cancel()


async def test_nothing_is_left_of_a_call_that_is_over(tokens) -> None:
    with trio.move_on_after(0), tokens.admit(FakeCall(f"Bearer {TOKEN}"), "kitchen"):
        await trio.sleep_forever()
    with pytest.raises(RuntimeError), tokens.admit(FakeCall(f"Bearer {TOKEN}"), "kitchen"):
        raise RuntimeError
    assert tokens._admitted == {}


def test_the_devices_certificate() -> None:
    assert answer(Certificates(), FakeCall(names=["kitchen"]), "kitchen") is None


@pytest.mark.parametrize("device_id", ["hall", "nobody", "Kitchen", "kitchen.", "kitche"])
def test_somebody_elses_certificate(device_id) -> None:
    refused = (Status.PERMISSION_DENIED, "the certificate is not this device's")
    assert answer(Certificates(), FakeCall(names=["kitchen"]), device_id) == refused


@pytest.mark.parametrize("names", [[], ["kitchen", "hall"]])
def test_a_certificate_has_one_name(names) -> None:
    refused = (Status.UNAUTHENTICATED, "a client certificate is needed")
    assert answer(Certificates(), FakeCall(names=names), "kitchen") == refused


def test_common_names() -> None:
    subject = ((("countryName", "CH"),), (("commonName", "a"), ("commonName", "b")))
    assert common_names({"subject": subject}) == ["a", "b"]
    assert common_names({}) == []
    assert common_names(None) == []


async def test_where_both_are_asked_for_both_are_needed(tokens) -> None:
    both = AllOf([Certificates(), tokens])
    bearer = f"Bearer {TOKEN}"
    assert answer(both, FakeCall(bearer, names=["kitchen"]), "kitchen") is None
    for call in (FakeCall(bearer), FakeCall(names=["kitchen"]), FakeCall(bearer, names=["hall"])):
        assert answer(both, call, "kitchen") is not None
    ends: list[Status] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_hold_both, both, bearer, ends)
        await trio.testing.wait_all_tasks_blocked()
        tokens.use({})
    assert ends == [Status.UNAUTHENTICATED]


async def _hold_both(both: AllOf, bearer: str, ends: list[Status]) -> None:
    try:
        with both.admit(FakeCall(bearer, names=["kitchen"]), "kitchen"):
            await trio.sleep_forever()
    except GRPCError as error:
        ends.append(error.status)
