"""Proxies for TCP that name their clients: HAProxy with version 2, nginx with version 1."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from debian_proxies import haproxy, nginx_stream
from house import MadeClips
from server_process import ServerProcess
from test_proxies import judged

from audio_server.cli import main

CLIENT = "127.0.0.9"
FLAGS = ("--trusted-proxies", "127.0.0.1", "--proxy-protocol", "required")

PROXIES = {"haproxy": partial(haproxy, mode="proxy protocol"), "nginx": nginx_stream}


@pytest.fixture
def server(clips: MadeClips) -> Iterator[ServerProcess]:
    server = ServerProcess(clips.folder, clips.cache, *FLAGS)
    yield server
    assert server.stop() == 0
    assert server.errors() == []


@pytest.fixture(params=PROXIES)
def port(request: pytest.FixtureRequest, server: ServerProcess, tmp_path: Path) -> Iterator[int]:
    proxy: AbstractContextManager[int] = PROXIES[request.param](tmp_path, server.port)
    with proxy as port:
        yield port


def test_devices_are_served_and_clients_named(port: int, server: ServerProcess) -> None:
    output = judged(str(port))
    assert output.splitlines()[-1:] == ["contract kept"], output
    refused = [line for line in server.log if line["event"] == "PROXY header refused"]
    assert refused == []
    with socket.create_connection(("127.0.0.1", port), source_address=(CLIENT, 0)) as client:
        name, client_port = client.getsockname()
        client.sendall(b"this is no HTTP/2 at all".ljust(100))
        line = server.wait_logged("peer broke the rules")
        assert line["peer"] == f"{name}:{client_port}"


def test_a_check_beside_the_proxy_is_answered(server: ServerProcess) -> None:
    """From an address of a proxy: as health checks in a container do."""
    with pytest.raises(SystemExit) as ended:
        main(["check", "--port", str(server.port), *FLAGS])
    assert not ended.value.code
    with pytest.raises(SystemExit) as ended:
        main(["check", "--port", str(server.port)])
    assert ended.value.code


def test_workers_read_headers_too(clips: MadeClips, tmp_path: Path) -> None:
    server = ServerProcess(clips.folder, clips.cache, "--workers", "2", *FLAGS)
    with haproxy(tmp_path, server.port, mode="proxy protocol") as port:
        output = judged(str(port))
    assert output.splitlines()[-1:] == ["contract kept"], output
    assert server.stop() == 0
    assert server.errors() == []
