"""TLS contexts out of files, for both ends: HTTP/2 only, TLS 1.2 at least."""

from __future__ import annotations

import ssl
from codecs import BOM_UTF8
from pathlib import Path
from typing import NoReturn

from audio_server.errors import SetupError
from audio_server.files.small_file import read_small

ALPN = "h2"

CERTIFICATES_MAX_BYTES = 4 * 1024 * 1024
"""How large a file of certificates may be: ten times as large as those that systems come with."""

# All that HTTP/2 allows with TLS 1.2 (RFC 9113 section 9.2.2) and that is not obsolete.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsError(SetupError):
    """A certificate, key or list of authorities cannot be used."""


def server_context(
    cert: Path, key: Path, client_ca: Path | None, *, alpn: str = ALPN
) -> ssl.SSLContext:
    """Return the TLS context of a server; with `client_ca` each client needs a certificate of it.

    Reads the files; raises `TlsError`.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([alpn])
    # A session that is resumed was checked by authorities that may have changed since.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    _load_pair(context, cert, key)
    if client_ca is not None:
        _load_authorities(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: Path | None = None, cert: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return the TLS context of a client. Without `ca` it trusts the authorities of the system;
    `cert` and `key` are its own certificate. Reads the files; raises `TlsError`."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.load_default_certs()
    else:
        _load_authorities(context, ca)
    if cert is not None and key is not None:
        _load_pair(context, cert, key)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols([ALPN])
    return context


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    _need_pem(cert, b"CERTIFICATE-----", "a PEM certificate")
    _need_pem(key, b"PRIVATE KEY-----", "a PEM private key")
    try:
        context.load_cert_chain(cert, key, password=lambda: _refuse_password(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(key, f"is not the key of {cert}") from error
        raise TlsError(cert, f"cannot be used with {key}: {_said(error)}") from error
    except OSError as error:
        raise TlsError(error.filename or cert, error.strerror or str(error)) from error


def _load_authorities(context: ssl.SSLContext, ca: Path) -> None:
    _need_pem(ca, b"CERTIFICATE-----", "a PEM certificate")
    try:
        context.load_verify_locations(ca)
    except OSError as error:  # `ssl.SSLError` is one
        raise TlsError(ca, f"holds no certificates that can be used: {_said(error)}") from error


def _refuse_password(key: Path) -> NoReturn:
    """Without this OpenSSL would ask for a password on the terminal."""
    raise TlsError(key, "is encrypted; the server needs a key without a password")


def _need_pem(path: Path, label: bytes, what: str) -> None:
    """Say which of the files is wrong, which OpenSSL does not."""
    try:
        content = read_small(path, CERTIFICATES_MAX_BYTES)
    except SetupError as error:
        raise TlsError(path, error.reason) from error
    if content.startswith(BOM_UTF8):
        raise TlsError(path, "begins with a byte order mark, which PEM must not; save it without")
    if label not in content:
        raise TlsError(path, f"is not {what}")


def _said(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()
