"""What can go wrong between a command and a server: one line, and the right exit status."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from client_run import Run
from fake_api import FakeServer, served
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from audio_server.identity.dev_certs import make_dev_certs


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (("devices", "--url", "x"), 'Invalid value for --url: "x" is not http://HOST:PORT or'),
        (("devices", "--url", "http://h:x"), '"http://h:x" is not http://HOST:PORT'),
        (("devices", "--url", "http://h/?a"), '"http://h/?a" is not http://HOST:PORT'),
        (("devices", "--url", "http://me:word@h"), "a user and a password do not belong in a URL"),
        (("devices", "shwo"), "Unknown command or argument: shwo. Did you mean show?"),
        (("hlep",), "Unknown command or argument: hlep. There is --help."),
        (("devices", "show"), "requires an argument"),
        (("devices", "show", "a b"), '"a b": a device id is 1-64 characters'),
        (("devices", "--sort", "size"), 'Choose from: "id", "state"'),
        (("devices", "--token-file", "no"), "no: No such file or directory"),
        (("devices", "--token-file", "empty"), "empty: holds no token"),
        (("devices", "--token-file", "binary"), "binary: holds no token"),
        (("devices", "--url", "https://h", "--cafile", "empty"), "empty: is not a PEM cert"),
        (("press", "hall"), "give the ID of a device and a BUTTON"),
        (("press", "hall", "shout"), 'Choose from: "mode", "play", "stop", "connect"'),
        (("play", "bell"), "which devices? Give their IDs, --tag NAME, or --all"),
        (("play", "bell", "a", "--all"), "which devices? Give their IDs, --tag NAME, or --all"),
        (("stop", "a", "b/c"), '"b/c": a device id is'),
        (("rename", "hall"), "give either a NAME or --none"),
        (("rename", "hall", "Hall", "--none"), "give either a NAME or --none"),
        (("logs", "a", "b"), "Unknown command or argument: b"),
        (("top",), "no terminal to draw on: use --json, or audio-server devices"),
    ],
)
def test_wrong_usage(run: Run, argv: list[str], line: str) -> None:
    Path("empty").touch()
    Path("binary").write_bytes(b"\xff\xfe")
    status, out, err = run(*argv)
    assert (status, out) == (2, "")
    assert line in err
    assert err.count("\n") == 1


def test_a_token_that_no_header_can_carry(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIO_SERVER_HTTP_TOKEN", "a b")
    line = "audio-server: AUDIO_SERVER_HTTP_TOKEN: holds no token\n"
    assert run("devices") == (2, "", line)


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        (JSONResponse({"error": "no such\ndevice"}, 404), "no such device"),
        (PlainTextResponse("no", 404), "{url}: not an audio-server, or an"),
        (PlainTextResponse("no", 503), "{url}: answers 503 Service Unavailable"),
        (Response(status_code=303, headers={"location": "/login"}), "(303 See Other)"),
        (JSONResponse([1]), "{url}: not an audio-server, or an incompatible version"),
        (HTMLResponse("<html>"), "{url}: not an audio-server, or an incomp"),
    ],
)
@pytest.mark.parametrize("argv", [("stop", "--all"), ("top", "--json")])
def test_refusals(
    fake: FakeServer, run: Run, argv: list[str], refusal: Response, line: str
) -> None:
    fake.refusal = refusal
    status, out, err = run(*argv)
    assert (status, out) == (1, "")
    assert err.startswith("audio-server: ")
    assert line.format(url=fake.url) in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("argv", [("press", "a", "mode"), ("logs", "-f")])
def test_nobody_is_there(run: Run, argv: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    line = f"audio-server: {url}: Connection refused: no server listens there\n"
    assert run(*argv, "--url", url + "/") == (1, "", line)


def test_a_server_without_tls(fake: FakeServer, run: Run) -> None:
    url = fake.url.replace("http:", "https:")
    line = f"audio-server: {url}: the server speaks no TLS there\n"
    assert run("devices", "--url", url) == (1, "", line)


def test_somebody_else_is_there(run: Run) -> None:
    def be_rude() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(b"220 mail\r\n")

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=be_rude)
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    line = f"audio-server: {url}: has gone, or speaks no HTTP\n"
    assert run("devices", "--url", url) == (1, "", line)
    thread.join()


def test_a_token_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("token").write_text("secret\n")
    Path("wrong").write_text("guess\n")
    with served(server := FakeServer(token="secret")):
        monkeypatch.setenv("AUDIO_SERVER_URL", server.url)
        asks = "asks for a token: --token-file FILE, or AUDIO_SERVER_HTTP_TOKEN"
        assert run("devices") == (1, "", f"audio-server: {server.url}: {asks}\n")
        refused = f"audio-server: {server.url}: does not take this token\n"
        assert run("devices", "--token-file", "wrong") == (1, "", refused)
        assert run("devices", "--token-file", "token").status == 0
        monkeypatch.setenv("AUDIO_SERVER_HTTP_TOKEN_FILE", "token")
        assert run("stop", "--all").status == 0
        assert run("logs", "--token-file", "wrong") == (1, "", refused)
        monkeypatch.delenv("AUDIO_SERVER_HTTP_TOKEN_FILE")
        monkeypatch.setenv("AUDIO_SERVER_HTTP_TOKEN", "secret")
        assert run("logs").status == 0


def test_certificates_are_checked(run: Run, tmp_path: Path) -> None:
    certs = make_dev_certs(tmp_path / "certs", (), ())
    with served(server := FakeServer(), certs.server):
        url = ("--url", server.url)
        assert run("devices", *url, "--cafile", str(certs.ca)).status == 0
        status, _, err = run("devices", *url)
        assert (status, err.count("\n")) == (1, 1)
        assert ": the server's certificate is not trusted: " in err
        status, _, err = run("devices", "--url", server.url.replace("https", "http"))
        assert (status, err.count("\n")) == (1, 1)


def test_a_proxy_gets_no_token(fake: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert run("devices").status == 0
