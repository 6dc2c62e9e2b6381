"""Reasons of failed TLS handshakes, in words for the client."""

from __future__ import annotations

import ssl

_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's names for an answer that is no TLS, by its version."""


def handshake_fault(error: BaseException) -> str:
    """Return one line; `error` is the first cause of the failed handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if not isinstance(error, ssl.SSLError):
        return f"TLS: {error}"
    if error.reason in _NO_TLS:
        return "the server speaks no TLS there"
    return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
