"""A soak: a server in a process of its own, healthy devices, and a tenth that are not.

    python soak.py [MINUTES] [--devices N]

Ends with a verdict; exit status 0 if all of it holds, 1 if not, 2 if the machine was too busy to
judge times. Only 127.0.0.0/8 is used, and
every process is ended by its id.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import trio
from soak_load import Load, Witnessed
from soak_verdict import Soaked, judge, notes

from benchmarks import proc
from benchmarks.machine import raise_file_limit

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_START_S = 60.0
_CALM_S = 15.0
ORACLES = 20


class Server:
    """The server's process, and what it says and holds."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "server.log"
        self._counts = folder / "counts.json"
        clips = ["--clips", str(ROOT / "clips"), "--cache", str(folder), "--data", "off"]
        # Every foe is to be heard, though they share an address: turned away it would do nothing.
        clips += ["--limits.abandoned", "100000,10000"]
        command = [sys.executable, str(HERE / "soak_server.py"), str(self._counts)]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--port", "0", "--log-format", "json", *clips], stderr=log, cwd=ROOT
            )
        self.port = self._wait_listening()

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged; a line that is no JSON is a traceback's."""
        return [_parsed(line) for line in self._log.read_text().splitlines()]

    def _wait_listening(self) -> int:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.lines():
                if line.get("event") == "listening":
                    return int(line["port"])
            time.sleep(0.05)
        raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")

    def count(self) -> dict[str, int]:
        """What it holds at this moment; stops it for a while."""
        self._counts.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + _CALM_S
        while not self._counts.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        sockets = sum(_is_socket(fd) for fd in Path(f"/proc/{self.process.pid}/fd").iterdir())
        return dict(json.loads(self._counts.read_text())) | {"sockets": sockets}

    def stop(self) -> list[str]:
        """End it; what is to be complained about."""
        self.process.terminate()
        try:
            status = self.process.wait(_CALM_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        bad = [str(line) for line in self.lines() if line.get("level") in ("error", "critical")]
        return bad + ([f"exit status {status}"] if status else [])


def _parsed(line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        return {"event": line, "level": "error"}


def _is_socket(fd: Path) -> bool:
    try:
        return fd.readlink().name.startswith("socket:")
    except OSError:
        return False


@contextmanager
def _foes(port: int, seconds: float, count: int) -> Iterator[subprocess.Popen[str]]:
    """The process of those that are not healthy; it ends by itself, or with the block."""
    kinds = [count - 2 * (count // 3), count // 3, count // 3]
    command = [sys.executable, str(HERE / "soak_foes.py"), str(port), str(seconds)]
    process = subprocess.Popen(
        [*command, *map(str, kinds)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _watch_memory(pid: int, rss_kb: list[float]) -> None:
    while True:
        await trio.sleep(1.0)
        rss_kb.append(proc.rss_kb(pid))


async def _load(
    server: Server, seconds: float, players: int, oracles: int, rss_kb: list[float]
) -> Witnessed:
    load = Load(server.port, players, oracles)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch_memory, server.process.pid, rss_kb)
        witnessed = await load.run(seconds)
        nursery.cancel_scope.cancel()
    return witnessed


def _count_calm(server: Server, before: dict[str, int]) -> dict[str, int]:
    """What is left when all have gone, once it is no more than before, or after a while."""
    deadline = time.monotonic() + _CALM_S
    garbage = 0
    while True:
        time.sleep(0.5)
        after = server.count()
        garbage += after["garbage"]
        left = any(count > before[name] for name, count in after.items() if name != "garbage")
        if not left or time.monotonic() > deadline:
            return after | {"garbage": garbage}


def soak(seconds: float, devices: int, oracles: int, foes: int) -> Soaked:
    """One soak with so many devices, some of them watched by oracles and some foes."""
    rss_kb: list[float] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        server = Server(Path(name))
        try:
            before = server.count()
            waited_s, cpu_s = proc.waited_s(server.process.pid), proc.cpu_s(server.process.pid)
            with _foes(server.port, seconds, foes) as process:
                load = partial(_load, server, seconds, devices - foes - oracles, oracles, rss_kb)
                witnessed = trio.run(load)
                waited_s = proc.waited_s(server.process.pid) - waited_s
                cpu_s = proc.cpu_s(server.process.pid) - cpu_s
                came, _ = process.communicate(timeout=_CALM_S)
            after = _count_calm(server, before)
        finally:
            complaints = server.stop()
    visits = json.loads(came or "{}")
    measured = rss_kb, before, after, complaints, cpu_s, waited_s
    return Soaked(seconds, devices, witnessed, visits, *measured)


def main() -> int:
    """Soak, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=3.0)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--untimed", action="store_true", help="judge no times and no memory")
    options = parser.parse_args()
    raise_file_limit()
    oracles = min(ORACLES, options.devices // 5)
    foes = options.devices // 10
    soaked = soak(options.minutes * 60, options.devices, oracles, foes)
    verdict = judge(soaked, timing=not options.untimed)
    print(*verdict, *notes(soaked), sep="\n")
    holds = all(line.holds for line in verdict)
    if not holds and soaked.starved and all(line.holds for line in judge(soaked, timing=False)):
        print("VERDICT: none, for the machine was too busy to judge times")
        return 2
    print("VERDICT: unharmed" if holds else "VERDICT: HARMED")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
