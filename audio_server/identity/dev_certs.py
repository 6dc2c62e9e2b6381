"""Certificates to try mutual TLS out: an authority, the server's, one for each device.

They are real ones, only that the authority's key lies in a folder beside them. An authority that
is in the folder already goes on to be used, so devices can be added later. Everything here blocks.

Not trustme: its authorities are good until the year 3000, and each of its certificates is good for
servers and clients alike, so that a device could pose as the server.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.files.small_file import read_small

VALID = dt.timedelta(days=365)

LOCAL = ("localhost", "127.0.0.1", "::1")
"""The names that the server's certificate always has."""

_FILE_MAX_BYTES = 1024 * 1024

_CLOCKS_DIFFER = dt.timedelta(hours=1)

CertificateKey = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, where they are written."""

    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that signs certificates."""

    cert: x509.Certificate
    key: CertificateKey


@dataclass(frozen=True, slots=True)
class DevCerts:
    """The certificates of a folder; `ca` is the one that both sides trust."""

    ca: Path
    server: Pair
    devices: dict[str, Pair]


def make_dev_certs(folder: Path, hosts: Sequence[str], device_ids: Sequence[str]) -> DevCerts:
    """Write certificates into a folder, made if it is not there; those of the same name are
    replaced. `hosts` are names and addresses of the server besides `LOCAL`.

    Raises `OSError`, and `SetupError` for an authority in the folder that cannot be used.
    """
    (folder / "devices").mkdir(mode=0o700, parents=True, exist_ok=True)
    ca = Pair(folder / "ca.pem", folder / "ca.key")
    authority = _load(ca) if ca.cert.exists() else _make_authority(ca)
    names = x509.SubjectAlternativeName([_host(host) for host in (*LOCAL, *hosts)])
    server = _issue(authority, folder / "server", "server", ExtendedKeyUsageOID.SERVER_AUTH, names)
    devices = {
        device_id: _issue(
            authority, folder / "devices" / device_id, device_id, ExtendedKeyUsageOID.CLIENT_AUTH
        )
        for device_id in device_ids
    }
    return DevCerts(ca.cert, server, devices)


def _make_authority(ca: Pair) -> Authority:
    key = _new_key()
    name = _name("streaming-audio-server development")
    usage = x509.KeyUsage(
        digital_signature=False, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = _builder(name, name, key).add_extension(identifier, critical=False)
    builder = builder.add_extension(usage, critical=True)
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    cert = builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256())
    _write(ca, key, cert)
    return Authority(cert, key)


def _load(ca: Pair) -> Authority:
    try:
        cert = x509.load_pem_x509_certificate(read_small(ca.cert, _FILE_MAX_BYTES))
        key = serialization.load_pem_private_key(read_small(ca.key, _FILE_MAX_BYTES), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SetupError(ca.cert, "is no authority that was made here") from error
    if not isinstance(key, CertificateKey) or key.public_key() != cert.public_key():
        raise SetupError(ca.key, f"is not the key of {ca.cert}")
    return Authority(cert, key)


def _issue(
    authority: Authority,
    path: Path,
    common_name: str,
    usage: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName | None = None,
) -> Pair:
    key = _new_key()
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = (
        _builder(_name(common_name), authority.cert.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(issuer_key, critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    # Not `with_suffix`: a device's id may have a dot.
    pair = Pair(path.parent / f"{path.name}.pem", path.parent / f"{path.name}.key")
    _write(pair, key, builder.sign(authority.key, hashes.SHA256()))
    return pair


def _builder(subject: x509.Name, issuer: x509.Name, key: CertificateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + VALID)
    )


def _new_key() -> CertificateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write(pair: Pair, key: CertificateKey, cert: x509.Certificate) -> None:
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    # Replaced, not rewritten: a key that is there may be another file's, or open to others.
    for path, content, mode in (
        (pair.key, secret, 0o600),
        (pair.cert, cert.public_bytes(pem), 0o666),
    ):
        with OpenFolder(path.parent) as folder:
            folder.write(path.name, content, mode=mode)
