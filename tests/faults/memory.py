"""Measure what connections leave in the memory of a server, in a process of its own.

    PYTHONPATH=.:tests python tests/faults/memory.py [--count N] [--tls] [KIND ...]

Visitors (`visits`) come one after the other, stay for longer than the server's young objects stay
young, and leave. The resident memory is printed after each tenth; a kind fails whose second half
adds more than `EACH_BYTES` a connection. 100,000 of a kind take minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import visits
from free_ports import free_port

from audio_server.identity.dev_certs import make_dev_certs

AT_ONCE, PAGES_AT_ONCE = 400, 50
STAY_S = 0.6
EACH_BYTES = 100
"""A megabyte in 10,000 connections: the allocator's own ups and downs are as large."""

ROOT = Path(__file__).parents[2]
OPEN = (
    "--limits.max-unauthenticated=10000",
    "--limits.abandoned=1000000,100000",
    "--log-level=error",
)


@contextmanager
def server(folder: Path, *, tls: bool) -> Iterator[tuple[visits.Ports, int]]:
    """A server without the limits of an address; gives its ports and its process."""
    port, http = free_port(), free_port()
    host, more = ("0.0.0.0", _secured(folder)) if tls else ("127.0.0.1", [])
    own = [f"--port={port}", f"--http={host}:{http}", f"--clips={ROOT / 'clips'}"]
    folders = [f"--cache={folder / 'cache'}", f"--data={folder / 'data'}"]
    command = [sys.executable, "-m", "audio_server", *own, *folders, *OPEN, *more]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            _wait_open(port, http)
            token = _token(folder / "data/http-token") if tls else None
            yield visits.Ports(port, http, token), process.pid
        finally:
            process.terminate()


def _secured(folder: Path) -> list[str]:
    pair = make_dev_certs(folder / "certs", ["localhost"], []).server
    return [f"--tls-cert={pair.cert}", f"--tls-key={pair.key}"]


def _wait_open(*ports: int) -> None:
    for port in ports:
        for _ in range(1200):
            try:
                with visits.tcp(port):
                    break
            except OSError:
                time.sleep(0.05)


def _token(file: Path) -> str:
    while not file.exists():  # made a little later than the port is open
        time.sleep(0.05)
    return file.read_text().strip()


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def measure(visit: visits.Visit, ports: visits.Ports, pid: int, count: int) -> list[int]:
    """Return the resident memory after each tenth of so many visits, in KB."""
    seen = []
    at_once = PAGES_AT_ONCE if visit.__name__.startswith("ws_") else AT_ONCE  # of a device each
    for _ in range(10):
        _stream(visit, ports, count // 10, at_once)
        time.sleep(1)
        seen.append(resident_kb(pid))
        print(f" {seen[-1] // 1024}", end="", flush=True)
    print()
    return seen


def _stream(visit: visits.Visit, ports: visits.Ports, count: int, at_once: int) -> None:
    """Have so many visitors come and leave, with so many at the same time."""
    there: deque[tuple[float, Iterator[None]]] = deque()
    for _ in range(count):
        visitor = visit(ports)
        next(visitor)
        there.append((time.monotonic(), visitor))
        while len(there) >= at_once or time.monotonic() - there[0][0] > STAY_S:
            _leave(*there.popleft())
            if not there:
                break
    while there:
        _leave(*there.popleft())


def _leave(came_s: float, visitor: Iterator[None]) -> None:
    time.sleep(max(0.0, came_s + STAY_S - time.monotonic()))
    next(visitor, None)


def main() -> int:
    """Return 1 if a kind leaves memory behind."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="connections of each kind")
    parser.add_argument("--tls", action="store_true", help="ask a server with TLS")
    parser.add_argument("kinds", nargs="*", help="all of them, if none is named")
    asked = parser.parse_args()
    kinds = visits.TLS if asked.tls else visits.PLAIN
    is_bad = False
    for name in asked.kinds or kinds:
        with tempfile.TemporaryDirectory() as folder, server(Path(folder), tls=asked.tls) as there:
            print(f"{name}: RSS in MB", end="", flush=True)
            seen = measure(kinds[name], *there, asked.count)
        each = (seen[-1] - seen[4]) * 1024 / (asked.count / 2)
        is_bad |= each > EACH_BYTES
        print(f"{name}: {each:.0f} bytes each", flush=True)
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
