"""Pages behind nginx: with the configuration that docs/operating.md shows, and with none at all."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_ports import free_port
from raw_pages import upgrade
from web_server import WebServer

DOCS = Path(__file__).parents[2] / "docs" / "operating.md"
TOKEN = "operator-0123456789"
BARE = "location / { proxy_pass http://localhost:8080; }"
CONFIG = """
daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;
events {{}}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""


def documented() -> str:
    """The configuration of the docs."""
    return DOCS.read_text().partition("```nginx\n")[2].partition("```")[0]


@contextmanager
def nginx(location: str, server: WebServer, folder: Path) -> Iterator[int]:
    """nginx before the pages of a server; its port."""
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("nginx is not installed")
    port, to = free_port(), server.http.rpartition(":")[2]
    config = CONFIG.format(port=port, location=location.replace(":8080", f":{to}"))
    (folder / "nginx.conf").write_text(config)
    command = [path, "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command)
    try:
        wait_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def wait_port(port: int) -> None:
    """Return when somebody listens."""
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("nginx does not listen")


@pytest.fixture(scope="module", params=[True, False], ids=["token", "no token"])
def server(
    request: pytest.FixtureRequest, tones: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebServer]:
    """A server on loopback, with a token for operators or without."""
    folder = tmp_path_factory.mktemp("behind")
    (folder / "token").write_text(TOKEN)
    flags = ("--http-token-file", str(folder / "token")) if request.param else ()
    server = WebServer(folder, tones, *flags)
    server.has_token = request.param
    server.start()
    yield server
    server.stop()


class Kept(urllib.request.HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(self, *_: object) -> None:
        return None


def get(port: int, path: str, *, token: bool = False, host: str = "") -> tuple[int, str, str]:
    """The status, where to, and the body."""
    headers = {"authorization": f"Bearer {TOKEN}"} if token else {}
    headers |= {"host": host} if host else {}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.build_opener(Kept).open(asked, timeout=10) as answer:
            return answer.status, "", answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers.get("location", ""), answer.read().decode()


def test_with_the_documented_configuration(server: WebServer, tmp_path: Path) -> None:
    with nginx(documented(), server, tmp_path) as port:
        assert get(port, "/readyz")[0] == 200
        if not server.has_token:
            status, _, text = get(port, "/api/devices", host="localhost")
            assert (status, "--http-token-file" in json.loads(text)["error"]) == (403, True)
            return
        for host in ("", "localhost", "door.example"):
            assert get(port, "/metrics", host=host)[0] == 401
            assert get(port, "/metrics", token=True, host=host)[0] == 200
            assert get(port, "/clips/?a=1", token=True, host=host)[:2] == (308, "/clips?a=1")
        with socket.create_connection(("127.0.0.1", port), 10) as page:
            page.settimeout(10)
            token = f"authorization: Bearer {TOKEN}\r\n"
            page.sendall(upgrade("/api/devices/changes", token))
            heard = b""
            while b"event: all" not in heard:
                heard += page.recv(4096)
        assert heard.startswith(b"HTTP/1.1 101")


def test_a_proxy_without_a_word_of_it_does_not_open_what_needs_a_token(
    server: WebServer, tmp_path: Path
) -> None:
    """It gives its own name for the server, a name of loopback, and adds no header."""
    if not server.has_token:
        pytest.skip("nothing can tell its requests from those of this machine")
    with nginx(BARE, server, tmp_path) as port:
        for path in ("/metrics", "/api/devices", "/api/clips"):
            assert get(port, path)[0] == 401
        assert get(port, "/clips/", token=True)[:2] == (308, "/clips")
