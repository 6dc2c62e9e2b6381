"""Why a handshake failed, in words."""

from __future__ import annotations

import ssl

import pytest

from audio_server.rpc.tls_errors import handshake_fault


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "as OpenSSL says it")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ssl_error("WRONG_VERSION_NUMBER"), "the server speaks no TLS there"),
        (ssl_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "TLS: tlsv13 alert certificate required"),
        (ConnectionResetError(104, "gone"), "TLS: [Errno 104] gone"),
    ],
)
def test_a_fault_is_a_line(error: Exception, line: str) -> None:
    assert handshake_fault(error) == line


def test_a_certificate_that_nobody_trusts() -> None:
    error = ssl.SSLCertVerificationError(1, "")
    error.verify_message = "self-signed certificate"
    line = "the server's certificate is not trusted: self-signed certificate"
    assert handshake_fault(error) == line
