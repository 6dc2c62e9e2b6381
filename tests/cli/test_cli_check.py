"""`audio-server check` against what may be listening on a port."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread

import pytest

from audio_server.cli import main
from audio_server.identity.dev_certs import make_dev_certs
from audio_server.identity.tls import server_context

SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.fixture
def answering() -> Iterator:
    """Listen, and answer whoever connects with the given bytes; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def start(answer: bytes, tls: ssl.SSLContext | None = None) -> str:
        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(ssl.SSLError, ConnectionError):
                if tls:
                    connection = tls.wrap_socket(connection, server_side=True)
                connection.recv(100)
                connection.sendall(answer)

        Thread(target=serve, daemon=True).start()
        return str(listener.getsockname()[1])

    yield start
    listener.close()


def test_a_server_answers(answering, capsys) -> None:
    port = answering(SETTINGS)
    with pytest.raises(SystemExit) as exit:
        main(["check", "--port", port])
    assert not exit.value.code
    assert capsys.readouterr().out == f"127.0.0.1:{port}: a server answers\n"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n", SETTINGS[:8]])
def test_something_else_answers(answer, answering, fail) -> None:
    port = answering(answer)
    assert port in fail("check", "--port", port)


def test_nothing_listens(fail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    assert "Connection refused" in fail("check", "--port", port)


def test_a_process_that_hangs_does_not_pass(fail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        assert "timed out" in fail("check", "--port", port, "--within-s", "0.01")


def test_the_port_comes_from_where_the_server_has_it(answering, monkeypatch) -> None:
    monkeypatch.setenv("AUDIO_SERVER_PORT", answering(SETTINGS))
    with pytest.raises(SystemExit) as exit:
        main(["check"])
    assert not exit.value.code


def test_the_host_comes_from_where_the_server_has_it(fail, tmp_path) -> None:
    (tmp_path / "settings.toml").write_text("host = '127.0.0.2'\nport = 1\nclips = 'elsewhere'\n")
    assert "127.0.0.2:1:" in fail("check", "--config", "settings.toml")


@pytest.mark.parametrize(("alpn", "status"), [("h2", 0), ("http/1.1", 2)])
def test_tls_is_spoken_where_the_server_speaks_it(alpn, status, answering, capsys, tmp_path):
    """No certificate is needed for it, also where a device needs one."""
    papers = make_dev_certs(tmp_path, [], [])
    context = server_context(papers.server.cert, papers.server.key, papers.ca)
    context.set_alpn_protocols([alpn])
    port = answering(SETTINGS, context)
    with pytest.raises(SystemExit) as exit:
        main(["check", "--port", port, "--tls-cert", str(papers.server.cert)])
    assert (exit.value.code or 0) == status
    assert f"127.0.0.1:{port}: " in "".join(capsys.readouterr())


def test_tls_that_does_not_come_about(answering, fail) -> None:
    port = answering(SETTINGS)
    assert port in fail("check", "--port", port, "--tls-cert", "server.pem")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_host_of_a_server_that_listens_everywhere(host, answering, capsys) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["check", "--host", host, "--port", answering(SETTINGS)])
    assert not exit.value.code
