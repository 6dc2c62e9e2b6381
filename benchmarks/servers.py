"""The servers under test: how each is started, when it is ready, how it is ended."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import proc
from benchmarks.peers.grpc_go import GRPC_GO, BuildFailed, build

HOST = "127.0.0.1"
OURS = "audio-server"
CERTS = "certs"
_READY_S = 60.0
_END_S = 5.0


class ServerFailed(Exception):
    """A server did not start; the text tells why, with its last output."""


@dataclass(frozen=True)
class Setup:
    """What a server is started for. `workers` and `args` are for our server alone.

    `folder` holds the clips, the packets and, for TLS, the certificate of `make_dev_certs`. With a
    `core_share` each of the server's processes is held to that part of a core.
    """

    folder: Path
    devices: int
    lead_ms: int
    workers: int = 1
    args: Sequence[str] = ()
    core_share: float = 0.0
    tls: bool = False

    def tls_flags(self) -> list[str]:
        """The certificate and its key, if there is to be TLS: every server knows these flags."""
        if not self.tls:
            return []
        certs = self.folder / CERTS
        return ["--tls-cert", str(certs / "server.pem"), "--tls-key", str(certs / "server.key")]


@dataclass(frozen=True)
class Running:
    """A server that takes connections."""

    pid: int
    address: tuple[str, int]


def _ours(setup: Setup, port: int) -> list[str]:
    workers = ["--workers", str(setup.workers)] if setup.workers > 1 else []
    return [
        *(sys.executable, "-m", "audio_server", "--port", str(port)),
        *("--clips", str(setup.folder / "clips"), "--cache", str(setup.folder / "cache")),
        *(() if "--data" in setup.args else ("--data", "off")),
        *(() if "--http" in setup.args else ("--http", "off")),
        *(*workers, *setup.tls_flags(), *setup.args),
    ]


def _peer(module: str, *flags: str) -> Command:
    def command(setup: Setup, port: int) -> list[str]:
        return [sys.executable, "-m", f"benchmarks.peers.{module}", *_peer_flags(setup), *flags]

    return command


def _go(setup: Setup, port: int) -> list[str]:
    try:
        return [str(build(setup.folder)), *_peer_flags(setup)]
    except BuildFailed as error:
        raise ServerFailed(str(error)) from error


def _peer_flags(setup: Setup) -> list[str]:
    return [
        *("--packets", str(setup.folder / "packets.bin")),
        *("--lead-ms", str(setup.lead_ms), "--devices", str(setup.devices)),
        *setup.tls_flags(),
    ]


Command = Callable[[Setup, int], list[str]]

SERVERS: dict[str, Command] = {
    OURS: _ours,
    GRPC_GO: _go,
    "grpc.aio-bursts": _peer("grpc_aio", "--bursts"),
    "grpc.aio": _peer("grpc_aio"),
    "grpcio-threads": _peer("grpc_threads"),
    "grpclib-uvloop": _peer("grpclib_uvloop"),
}
"""By name, how to build the command. A peer chooses its port itself and prints it."""


@contextmanager
def running(name: str, setup: Setup, cores: Sequence[int]) -> Iterator[Running]:
    """Start a server on these cores; end it, and all it started, on leaving the block.

    Raises `ServerFailed` where it does not take connections in time.
    """
    port = _free_port() if name == OURS else 0
    command = SERVERS[name](setup, port)
    log = setup.folder / f"{name}.log"
    with log.open("w") as errors, _on_cores(cores):
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if not port else errors,
            stderr=errors,
            cwd=Path(__file__).parent.parent,
        )
    try:
        port = port or _printed_port(process, log)
        _wait_open(process, port, log)
        yield Running(process.pid, (HOST, port))
    finally:
        _end(process)


@contextmanager
def _on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Children started in this block stay on these cores."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def _printed_port(process: subprocess.Popen[bytes], log: Path) -> int:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_READY_S) else b""
    if not line.strip().isdigit():
        raise ServerFailed(f"no port was printed; {_last_lines(log)}")
    return int(line)


def _wait_open(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise ServerFailed(f"port {port} was not opened; {_last_lines(log)}")


def _last_lines(log: Path) -> str:
    return "its last output: " + " | ".join(log.read_text().splitlines()[-5:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server by its pid, then whatever of its tree is still there."""
    family = proc.tree(process.pid)
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pid in family[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    if process.stdout is not None:
        process.stdout.close()
