"""The proof that a call is from the device that it names.

Every call is checked before anything else is done with it: no device is looked up or made, no
session touched. So a peer without proof learns nothing about the devices that exist, and can take
over none. Each answer is the same whether the device exists or not.

As gRPC has it, UNAUTHENTICATED is for credentials that are missing or not valid, and
PERMISSION_DENIED for valid ones of another device.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from audio_server.identity.tokens import Enrolment, hash_token


class Caller(Protocol):
    """The credentials of a call, as grpclib's `Stream` has them."""

    metadata: Any
    """A multi-dict of the call's metadata."""

    peer: Any
    """The other end; `cert()` is its certificate, if TLS asked for one."""

    def log_peer_error(self, reason: str, **details: object) -> None:
        """Log a fault of the call."""

    def revoke(self) -> None:
        """Withdraw the admission of the call."""


class Authenticator(Protocol):
    """A way to know a device."""

    def admit(self, call: Caller, device_id: str) -> AbstractContextManager[None]:
        """Give a block in which the call is proved to be from `device_id`.

        Entering raises `GRPCError` UNAUTHENTICATED or PERMISSION_DENIED, the caller's fault. When
        the credentials are withdrawn, the block is cancelled and raises UNAUTHENTICATED.
        """


class NoAuth:
    """Believes every id."""

    def admit(self, call: Caller, device_id: str) -> AbstractContextManager[None]:
        """Admit the call."""
        return nullcontext()


class Certificates:
    """The common name of the client's certificate is the device's id, letter by letter.

    Whether the certificate is good, TLS has found out before there was a call.
    """

    def admit(self, call: Caller, device_id: str) -> AbstractContextManager[None]:
        """Admit the call if the certificate is the device's."""
        names = common_names(call.peer.cert())
        if len(names) != 1:
            raise _refusal(call, device_id, "a client certificate is needed")
        if names[0] != device_id:
            reason = "the certificate is not this device's"
            raise _refusal(call, device_id, reason, Status.PERMISSION_DENIED)
        return nullcontext()


class Tokens:
    """A token for each device, sent as `authorization: Bearer ...`; `use` replaces `enrolments`.
    Before the first call of it no device is admitted.

    While they are not `sure`, since a device may be enrolled elsewhere, refusals are UNAVAILABLE.
    """

    def __init__(self, sure: Callable[[], bool] = lambda: True) -> None:
        self._enrolments: Mapping[str, Enrolment] = {}
        self._admitted: dict[str, list[tuple[trio.CancelScope, Enrolment]]] = {}
        self._sure = sure
        self._nobody = Enrolment("", secrets.token_bytes(32), "")

    def use(self, enrolments: Mapping[str, Enrolment]) -> None:
        """Admit by these from now on; calls with a token that has become invalid end at once."""
        self._enrolments = enrolments
        for device_id in self._admitted:
            self.review(device_id)

    def review(self, device_id: str) -> None:
        """End the calls of a device whose token has become invalid in the enrolments in use."""
        now = self._enrolments.get(device_id)
        for scope, admitted in self._admitted.get(device_id, ()):
            if now is None or now.token_hash != admitted.token_hash:
                scope.cancel()

    @contextmanager
    def admit(self, call: Caller, device_id: str) -> Iterator[None]:
        """Admit the call if it has the device's token."""
        enrolment = self._enrolments.get(device_id, self._nobody)
        if not _is_token(call, enrolment.token_hash):
            if not self._sure():
                reason = "the cluster is down: the device's token cannot be checked"
                raise _refusal(call, device_id, reason, Status.UNAVAILABLE)
            raise _refusal(call, device_id, "the device's token is needed")
        with trio.CancelScope() as scope:
            admitted = self._admitted.setdefault(device_id, [])
            admitted.append((scope, enrolment))
            try:
                yield
            finally:
                admitted.remove((scope, enrolment))
                if not admitted:
                    del self._admitted[device_id]
        if scope.cancelled_caught:
            call.revoke()
            raise _refusal(call, device_id, "the device's token was revoked")


class AllOf:
    """Several ways, all of which must admit a call."""

    def __init__(self, identities: Collection[Authenticator]) -> None:
        self._identities = identities

    @contextmanager
    def admit(self, call: Caller, device_id: str) -> Iterator[None]:
        """Admit the call if all do."""
        with ExitStack() as stack:
            for identity in self._identities:
                stack.enter_context(identity.admit(call, device_id))
            yield


def common_names(cert: Mapping[str, Any] | None) -> list[str]:
    """The common names in the subject of a certificate, as `ssl` describes one."""
    subject: Sequence[Sequence[tuple[str, str]]] = (cert or {}).get("subject", ())
    return [value for part in subject for name, value in part if name == "commonName"]


def _is_token(call: Caller, token_hash: bytes) -> bool:
    """Return whether the call has this token. The work is the same for every id and every token."""
    given = call.metadata.getall("authorization", []) if call.metadata is not None else []
    scheme, _, token = str(given[0]).partition(" ") if len(given) == 1 else ("", "", "")
    is_same = hmac.compare_digest(hash_token(token), token_hash)
    return is_same and scheme.lower() == "bearer"


def _refusal(
    call: Caller, device_id: str, reason: str, status: Status = Status.UNAUTHENTICATED
) -> GRPCError:
    call.log_peer_error(reason, device=device_id)
    return GRPCError(status, reason)
