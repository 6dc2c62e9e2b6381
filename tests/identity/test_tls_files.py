"""Files that TLS cannot be spoken with: one line, which names the file."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from audio_server.identity.tls import TlsError, client_context, server_context


@pytest.fixture
def server(papers):
    return papers.certs.server


def test_good_files(papers, server) -> None:
    context = server_context(server.cert, server.key, None)
    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    mutual = server_context(server.cert, server.key, papers.certs.ca)
    assert mutual.verify_mode is ssl.CERT_REQUIRED


def fails(file: Path, reason: str, cert: Path, key: Path, ca: Path | None = None) -> None:
    with pytest.raises(TlsError) as raised:
        server_context(cert, key, ca)
    line = str(raised.value)
    assert line.startswith(f"{file}: ")
    assert reason in line
    assert "\n" not in line


def test_files_that_are_not_there(server, tmp_path) -> None:
    nowhere = tmp_path / "nowhere.pem"
    fails(nowhere, "No such file", nowhere, server.key)
    fails(nowhere, "No such file", server.cert, nowhere)
    fails(nowhere, "No such file", server.cert, server.key, nowhere)


def test_a_folder_is_no_file(server, tmp_path) -> None:
    fails(tmp_path, "Is a directory", tmp_path, server.key)


def test_a_key_for_a_certificate_and_the_reverse(server) -> None:
    fails(server.key, "is not a PEM certificate", server.key, server.key)
    fails(server.cert, "is not a PEM private key", server.cert, server.cert)
    fails(server.key, "is not a PEM certificate", server.cert, server.key, server.key)


def test_somebody_elses_key(server, strange) -> None:
    key = strange.certs.server.key
    fails(key, f"is not the key of {server.cert}", server.cert, key)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(server, tmp_path) -> None:
    key = serialization.load_pem_private_key(server.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(key.private_bytes(pem, pkcs8, secret))
    fails(locked, "is encrypted", server.cert, locked)


@pytest.mark.parametrize("name", ["cert", "key", "ca"])
def test_files_with_holes(name, server, papers, tmp_path) -> None:
    files = {"cert": server.cert, "key": server.key, "ca": papers.certs.ca}
    lines = files[name].read_text().splitlines()
    broken = tmp_path / "broken.pem"
    broken.write_text("\n".join([lines[0], lines[1][:-8], *lines[2:]]))
    with pytest.raises(TlsError) as raised:
        server_context(*{**files, name: broken}.values())
    assert str(broken) in str(raised.value)


def test_a_client_checks_names(papers) -> None:
    context = client_context(papers.certs.ca)
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
