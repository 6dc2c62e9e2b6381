"""The cluster of deploy/cluster with its own configuration, but for addresses and paths: two
servers behind HAProxy, and an engine with a replica."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hiredis
import pytest
import yaml
from debian_proxies import running, tool
from free_ports import free_port
from house import MadeClips
from server_process import ServerProcess

FOLDER = Path(__file__).parents[2] / "deploy" / "cluster"
SERVICES = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
PASSWORD = "of-the-engine"
SCRIPT = "connect wait:1.1 mode play wait:0.3 reconnect wait:1.1 mode"


@contextmanager
def engine(folder: Path, *options: str) -> Iterator[int]:
    """Run the engine's command of compose.yaml, for Redis. Gives its port."""
    folder.mkdir()
    port = free_port()
    config = (FOLDER / "engine.conf").read_text().replace("dir /data", f"dir {folder}")
    (folder / "engine.conf").write_text(config)
    secrets = ("--requirepass", PASSWORD, "--masterauth", PASSWORD)
    place = ("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
    command = [tool("redis-server"), str(folder / "engine.conf"), *place, *secrets, *options]
    with running(command, folder, port):
        yield port


def ask(port: int, *words: str) -> Any:
    """Return an engine's answer."""
    reader = hiredis.Reader()
    with socket.create_connection(("127.0.0.1", port), 5.0) as sock:
        for command in (("AUTH", PASSWORD), words):
            sock.sendall(hiredis.pack_command(command))
            while (answer := reader.gets()) is False:
                reader.feed(sock.recv(65536))
    return answer


def wait(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of the servers, with this machine's addresses and files."""
    secret = tmp_path / "engine-password"
    secret.write_text(f"{PASSWORD}\n")
    found: dict[str, str] = dict(SERVICES["one"]["environment"])
    assert SERVICES["two"]["environment"] == found
    balancer = SERVICES["balancer"]["networks"]["devices"]["ipv4_address"]
    assert found["AUDIO_SERVER_TRUSTED_PROXIES"] == balancer
    assert found["AUDIO_SERVER_CLUSTER"] == "redis://engine"
    return {
        **found,
        "AUDIO_SERVER_TRUSTED_PROXIES": "127.0.0.1",
        "AUDIO_SERVER_CLUSTER_PASSWORD_FILE": str(secret),
        "AUDIO_SERVER_HTTP": "off",
        "AUDIO_SERVER_DRAIN_S": "0.5",
    }


@contextmanager
def balancer(folder: Path, *servers: int) -> Iterator[int]:
    """Run HAProxy as deploy/cluster does. Gives its port."""
    port = free_port()
    config = (FOLDER / "haproxy.cfg").read_text().replace("bind :50051", f"bind 127.0.0.1:{port}")
    config = config.replace("maxconn 30000", "maxconn 100")  # more files than a test may open
    for name, server in zip(("one", "two"), servers, strict=True):
        assert f"{name}:50051" in config
        config = config.replace(f"{name}:50051", f"127.0.0.1:{server}")
    (folder / "haproxy.cfg").write_text(config)
    with running([tool("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], folder, port):
        yield port


def run_device(port: int) -> str:
    """Run a device with a script through the balancer. Returns its judgement."""
    command = "import sys; from audio_server.simulator.cli import main; main(sys.argv[1:])"
    script = ["--id", "one", "--script", SCRIPT, "--modes", "6", "--tolerance-ms", "500"]
    run = subprocess.run(
        [sys.executable, "-c", command, "--port", str(port), *script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return run.stdout + run.stderr


def test_devices_are_served_by_both_and_by_one_that_is_left(
    tmp_path: Path, clips: MadeClips, environment: dict[str, str]
) -> None:
    with ExitStack() as stack:
        primary = stack.enter_context(engine(tmp_path / "engine"))
        replica_of = ("--replicaof", f"127.0.0.1 {primary}")
        replica = stack.enter_context(engine(tmp_path / "replica", *replica_of))
        wait(lambda: b"state=online" in ask(primary, "INFO", "replication"))
        environment["AUDIO_SERVER_CLUSTER"] = f"redis://127.0.0.1:{primary}"
        servers = [
            ServerProcess(clips.folder, clips.cache, environment=environment) for _ in range(2)
        ]
        for server in servers:
            server.wait_logged("cluster is up")
        port = stack.enter_context(balancer(tmp_path, *(server.port for server in servers)))
        output = run_device(port)
        assert output.splitlines()[-1:] == ["contract kept"], output
        kept = [ask(port, "HGET", "as:d:one", "m") for port in (primary, replica)]
        assert kept == [b"2", b"2"]
        assert servers[0].stop() == 0
        assert servers[0].errors() == []
        output = run_device(port)
        assert output.splitlines()[-1:] == ["contract kept"], output
        assert servers[1].stop() == 0
        assert servers[1].errors() == []


def test_both_engines_are_started_alike() -> None:
    primary, replica = (SERVICES[name]["command"] for name in ("engine", "replica"))
    assert replica[: len(primary) - 1] == primary[:-1]
    assert replica[len(primary) :] == ["--replicaof", "engine 6379"]
    assert "/etc/engine.conf" in primary[2]
