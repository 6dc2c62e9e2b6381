"""Errors of a connection, named by whose fault they are."""

from __future__ import annotations

from h2.errors import ErrorCodes


class PeerError(Exception):
    """The peer broke HTTP/2 or one of our limits: the connection ends with this GOAWAY.

    `reason` is sent to the peer, and is a fixed phrase; `detail`, a library's words, is logged.
    """

    def __init__(self, code: ErrorCodes, reason: str, detail: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code.name}: {self.reason}"


class PeerSilentError(Exception):
    """The peer did not answer a PING or does not read: it is given up without a GOAWAY."""


class MalformedRequestError(Exception):
    """The request breaks HTTP/2 itself (RFC 9113 section 8.1.1): its stream is reset.

    `detail`, in the peer's words, is logged.
    """

    def __init__(self, reason: str, detail: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class RefusedRequestError(Exception):
    """The request is not one we serve: it is answered with `headers`, trailers only.

    `kind` is its reason in one of a few words, for counters; `detail`, in the peer's words, is
    logged.
    """

    def __init__(
        self, headers: list[tuple[str, str]], reason: str, kind: str, detail: str | bytes = ""
    ) -> None:
        super().__init__(reason)
        self.headers = headers
        self.reason = reason
        self.kind = kind
        self.detail = detail
