"""Announcements to all devices at once: when the first packet is there for each.

`python -m benchmarks.announcements --devices 500,1000,2000 [--nodes 2] [--tls] [--idle]`

The server runs on a core of its own. The devices play a clip, or with --idle nothing; then one
request announces another clip on all, and each device notes when the `is_start` of it comes. Times
are from the request's first byte, the way of the request through the HTTP server included. With
--nodes so many servers share an engine (`redis-server`) and that core; devices are spread over
them, and the first one is asked.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import statistics
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from audio_server.identity.dev_certs import make_dev_certs
from benchmarks import proc
from benchmarks.cluster.processes import open_engine
from benchmarks.frames import Button, opening
from benchmarks.link import Link, Plain, Tls, client_context
from benchmarks.machine import Cores, available_cores, raise_file_limit
from benchmarks.player import Player
from benchmarks.servers import CERTS, HOST, OURS, Setup, running
from benchmarks.sound import make_clips
from benchmarks.tally import Tally, lateness_ms, quantile_ms, spread_runs

LEAD_MS = 300
CLIP_S = 600.0
ROUND_S = 6.0
"""From one announcement to the next: the announcement is 2 s long."""

SETTLE_S = 3.0
_CONNECTING = 64
_BUFFER_BYTES = 256 * 1024


class Listener(Player):
    """A device that notes when each of its takes starts."""

    __slots__ = ("started",)

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self.started = array("d")

    def _take_starts(self, now: float) -> None:
        self.started.append(now)
        self.tally.firsts.append(now)
        self.playing, self.first_at, self.index = True, now, 0
        self.play_at = 0.0
        self._advance(now)


class Crowd:
    """All devices, on one epoll loop of this process."""

    def __init__(self, addresses: Sequence[tuple[str, int]], *, tls: bool) -> None:
        self.tally = Tally()
        self._addresses = addresses
        self._context = client_context() if tls else None
        self._poll = select.epoll()
        self._devices: dict[int, tuple[Link, Listener]] = {}
        self._buffer = bytearray(_BUFFER_BYTES)

    @property
    def listeners(self) -> list[Listener]:
        return [listener for _, listener in self._devices.values()]

    def connect(self, count: int) -> None:
        """Have so many devices in all."""
        while len(self._devices) < count:
            for _ in range(min(_CONNECTING, count - len(self._devices))):
                self._open(len(self._devices))
            deadline = time.monotonic() + 20
            while not all(one.ready for one in self.listeners):
                self.read(0.05)
                if time.monotonic() > deadline:
                    raise SystemExit("devices did not get ready in time")

    def _open(self, number: int) -> None:
        address = self._addresses[number % len(self._addresses)]
        client = socket.create_connection(address, timeout=5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        listener = Listener(self.tally)
        scheme = "https" if self._context else "http"
        listener.out += opening(f"bench-{number}", f"{HOST}:{address[1]}", scheme)
        link = Tls(client, self._context) if self._context else Plain(client)
        self._devices[client.fileno()] = link, listener
        self._poll.register(client.fileno(), select.EPOLLIN)
        self._send(link, listener)

    def press(self, *buttons: Button, within_s: float) -> None:
        """All devices press these, evenly over a time."""
        begun = time.monotonic()
        for number, (link, listener) in enumerate(self._devices.values()):
            self.read(begun + within_s * number / len(self._devices) - time.monotonic())
            listener.press(time.monotonic(), *buttons)
            self._send(link, listener)

    def read(self, for_s: float) -> None:
        """Take all that comes within a time."""
        until = time.monotonic() + for_s
        while (left := until - time.monotonic()) > 0:
            for fd, _ in self._poll.poll(left):
                self._receive(fd)

    def _receive(self, fd: int) -> None:
        link, listener = self._devices[fd]
        kept = len(listener.rest)
        self._buffer[:kept] = listener.rest
        try:
            received = link.receive(memoryview(self._buffer)[kept:])
        except BlockingIOError:
            received = 0
        else:
            if not received:
                raise SystemExit("the server closed a connection")
        listener.feed(self._buffer, kept + received, time.monotonic())
        self._send(link, listener)

    def _send(self, link: Link, listener: Listener) -> None:
        if listener.out:
            try:
                del listener.out[: link.send(listener.out)]
            except BlockingIOError:
                return


class Command:
    """The request for an announcement, on a connection that is open already."""

    def __init__(self, http: tuple[str, int]) -> None:
        self._socket = socket.create_connection(http, timeout=30)
        body = json.dumps({"devices": "all", "clip": "1"}).encode()
        head = (
            f"POST /api/announce HTTP/1.1\r\nhost: {http[0]}:{http[1]}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._request = head.encode() + body

    def send(self) -> float:
        """Send it; return when."""
        now = time.monotonic()
        self._socket.sendall(self._request)
        return now

    def answer(self) -> int:
        """Return on how many devices it plays."""
        data = b""
        while b"}" not in data:
            data += self._socket.recv(65536)
        return int(json.loads(data.partition(b"\r\n\r\n")[2])["done"])


class Round(NamedTuple):
    """One announcement: seconds to the first packet of each device; then, until that of the last,
    the servers' CPU and the seconds in which they could have run but others had their core."""

    firsts: Sequence[float]
    cpu_s: float
    waited_s: float


def measure(crowd: Crowd, command: Command, pids: Sequence[int]) -> Round:
    """Announce once."""
    before = [len(one.started) for one in crowd.listeners]
    crowd.tally.firsts = array("d")
    from_cpu_s, from_waited_s = _spent(pids)
    sent = command.send()
    while len(crowd.tally.firsts) < len(before) and time.monotonic() < sent + ROUND_S:
        crowd.read(0.001)
    until_cpu_s, until_waited_s = _spent(pids)
    crowd.read(sent + ROUND_S - time.monotonic())
    if (done := command.answer()) != len(before):
        raise SystemExit(f"{done} of {len(before)} devices took the announcement")
    pairs = zip(crowd.listeners, before, strict=True)
    firsts = [one.started[count] - sent for one, count in pairs]
    return Round(firsts, until_cpu_s - from_cpu_s, until_waited_s - from_waited_s)


def _spent(pids: Sequence[int]) -> tuple[float, float]:
    return sum(map(proc.cpu_s, pids)), sum(map(proc.waited_s, pids))


def row(devices: int, rounds: Sequence[Round], late_ms: float) -> str:
    """Return a line of figures, in milliseconds."""
    lasts = [1000 * max(one.firsts) for one in rounds]
    every = [time_s for one in rounds for time_s in one.firsts]
    figures = {
        "devices": devices,
        "rounds": len(rounds),
        "first_p50_ms": round(quantile_ms(every, 0.5), 1),
        "first_p99_ms": round(quantile_ms(every, 0.99), 1),
        "last_median_ms": round(statistics.median(lasts), 1),
        "last_worst_ms": round(max(lasts), 1),
        "packet_lateness_p999_ms": round(late_ms, 1),
        "cpu_until_last_ms": round(1000 * statistics.median(one.cpu_s for one in rounds), 1),
        "waited_until_last_ms": round(1000 * statistics.median(one.waited_s for one in rounds), 1),
    }
    return json.dumps(figures)


class Node(NamedTuple):
    """A server: its address for devices, that of its pages, and its process."""

    address: tuple[str, int]
    http: tuple[str, int]
    pid: int


@contextmanager
def serving(
    folder: Path, devices: int, core: Sequence[int], *, tls: bool, engine: str | None = None
) -> Iterator[Node]:
    """Start a server, which is a node of `engine` if there is one."""
    with socket.create_server((HOST, 0)) as probe:
        http = (HOST, int(probe.getsockname()[1]))
    args = ["--http", f"{http[0]}:{http[1]}", "--limits.max-unauthenticated", "1000"]
    if engine is not None:
        args += ["--cluster", engine]
    setup = Setup(folder, devices, LEAD_MS, args=args, tls=tls)
    with running(OURS, setup, core) as server:
        yield Node(server.address, http, server.pid)


@contextmanager
def serving_together(
    count: int, folder: Path, devices: int, core: Sequence[int], *, tls: bool
) -> Iterator[list[Node]]:
    """Start so many servers, which share an engine where there are several."""
    with ExitStack() as stack:
        engine = None
        if count > 1:
            (folder / "engine").mkdir()
            engine = stack.enter_context(open_engine(folder / "engine")).url
        start = partial(serving, folder, devices, core, tls=tls, engine=engine)
        nodes = [stack.enter_context(start()) for _ in range(count)]
        time.sleep(SETTLE_S if count > 1 else 0.0)  # until each has heard the others' heartbeats
        yield nodes


def main() -> None:
    """Measure, and print a line of JSON for each number of devices."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--devices", default="500,1000,2000")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--nodes", type=int, default=1, help="servers that share an engine")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--idle", action="store_true", help="the devices play nothing before it")
    asked = parser.parse_args()
    counts = sorted(int(text) for text in asked.devices.split(","))
    raise_file_limit()
    cores = Cores.plan(available_cores())
    os.sched_setaffinity(0, cores.load)
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder, CLIP_S)
        if asked.tls:
            make_dev_certs(folder / CERTS, (), ())
        args = asked.nodes, folder, counts[-1], cores.server
        with serving_together(*args, tls=asked.tls) as nodes:
            crowd = Crowd([node.address for node in nodes], tls=asked.tls)
            pids = [node.pid for node in nodes]
            for count in counts:
                crowd.connect(count)
                if not asked.idle:
                    crowd.press(Button.PLAY, within_s=2.0)
                crowd.read(SETTLE_S)
                crowd.tally.clear()
                command = Command(nodes[0].http)
                rounds = [measure(crowd, command, pids) for _ in range(asked.rounds)]
                late = spread_runs(crowd.tally.run_lateness, crowd.tally.run_packets)
                print(row(count, rounds, lateness_ms(late, 0.999)), flush=True)


if __name__ == "__main__":
    main()
