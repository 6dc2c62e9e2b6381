"""A live channel against a clip: CPU of the server for each packet, with as many listeners.

`python -m benchmarks.live --devices 1000 --seconds 10 --rounds 3 [--lead-ms 300] [--tls]`

The server runs on a core of its own. All devices play a clip, then the channel, in turns. Sound is
sent to the channel in real time over HTTP by this process, and its cost is part of the figure. A
channel is sent five packets in a wake, so that none waits for long; with a lead of 140 ms so is a
clip, which compares the two for the same number of wakes.
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from audio_server.clips.ogg import opus_pages
from audio_server.identity.dev_certs import make_dev_certs
from benchmarks import proc
from benchmarks.announcements import CLIP_S, LEAD_MS, Crowd
from benchmarks.machine import Cores, available_cores, raise_file_limit
from benchmarks.servers import CERTS, HOST, OURS, Setup, running
from benchmarks.sound import make_clips, read_packets
from benchmarks.tally import PACKET_S

CHANNEL = "bench"
SETTLE_S = 3.0


class Sender:
    """Sound that is sent to the channel in real time, by a process of its own, until `stop`."""

    def __init__(self, address: tuple[str, int], packets: Sequence[bytes]) -> None:
        self._address = address
        self._packets = packets
        context = multiprocessing.get_context("fork")
        self._is_over = context.Event()
        self._process = context.Process(target=self._send, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._process.start()

    def stop(self) -> None:
        """End the sound, and wait for that."""
        self._is_over.set()
        self._process.join(10)

    def _send(self) -> None:
        connection = http.client.HTTPConnection(*self._address, timeout=30)
        connection.request("PUT", f"/api/live/{CHANNEL}", body=self._pages(), encode_chunked=True)
        connection.getresponse().read()

    def _pages(self) -> Iterator[bytes]:
        begun = time.monotonic()
        for number, page in enumerate(opus_pages(self._endless(), 1)):
            yield page
            time.sleep(max(0.0, begun + number * PACKET_S - time.monotonic()))

    def _endless(self) -> Iterator[bytes]:
        while not self._is_over.is_set():
            yield from self._packets[:50]


def play(address: tuple[str, int], source: dict[str, str]) -> None:
    """Play a clip or the channel on all devices."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    body = json.dumps({"devices": "all", **source})
    connection.request("POST", "/api/play", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200:
        raise SystemExit(f"{source} was not played: {answer.read().decode()}")


def measure(crowd: Crowd, pid: int, seconds: float) -> tuple[float, float, float]:
    """Return the CPU for a packet in microseconds, the packets a second of a device, and the part
    of a core that this process took."""
    crowd.tally.clear()
    cpu_s, own_s, begun = proc.cpu_s(pid), time.process_time(), time.monotonic()
    crowd.read(seconds)
    cpu_s, took_s = proc.cpu_s(pid) - cpu_s, time.monotonic() - begun
    packets, share = sum(crowd.tally.run_packets), (time.process_time() - own_s) / took_s
    return cpu_s / packets * 1e6, packets / took_s / len(crowd.listeners), share


def main() -> None:
    """Measure, and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lead-ms", type=int, default=LEAD_MS)
    parser.add_argument("--tls", action="store_true")
    asked = parser.parse_args()
    raise_file_limit()
    cores = Cores.plan(available_cores())
    os.sched_setaffinity(0, cores.load)
    with TemporaryDirectory() as name:
        folder = Path(name)
        packets = read_packets(make_clips(folder, CLIP_S))
        if asked.tls:
            make_dev_certs(folder / CERTS, (), ())
        with socket.create_server((HOST, 0)) as probe:
            pages = (HOST, int(probe.getsockname()[1]))
        args = ["--http", f"{pages[0]}:{pages[1]}", "--live", CHANNEL]
        args += ["--limits.max-unauthenticated", "1000"]
        lead = ["--lead-ms", str(asked.lead_ms)]
        setup = Setup(folder, asked.devices, asked.lead_ms, args=[*args, *lead], tls=asked.tls)
        with running(OURS, setup, cores.server) as server:
            crowd = Crowd([server.address], tls=asked.tls)
            crowd.connect(asked.devices)
            sender = Sender(pages, packets)
            sender.start()
            crowd.read(1.0)
            figures: dict[str, list[float]] = {"clip": [], "live": []}
            rates: dict[str, float] = {}
            shares: dict[str, float] = {}
            for _ in range(asked.rounds):
                for kind, source in (("clip", {"clip": "0"}), ("live", {"live": CHANNEL})):
                    play(pages, source)
                    crowd.read(SETTLE_S)
                    us, rates[kind], shares[kind] = measure(crowd, server.pid, asked.seconds)
                    figures[kind].append(us)
            sender.stop()
            faults = dict(crowd.tally.faults)
    print(row(asked.devices, figures, rates, shares, faults), flush=True)


def row(
    devices: int,
    figures: dict[str, list[float]],
    rates: dict[str, float],
    shares: dict[str, float],
    faults: dict[str, int],
) -> str:
    """Return a line of figures."""
    clip, live = (statistics.median(figures[kind]) for kind in ("clip", "live"))
    return json.dumps(
        {
            "devices": devices,
            "clip_us_per_packet": round(clip, 2),
            "live_us_per_packet": round(live, 2),
            "live_to_clip": round(live / clip, 2),
            "rounds": {kind: [round(us, 2) for us in all_us] for kind, all_us in figures.items()},
            "packets_per_s_per_device": {kind: round(rate, 1) for kind, rate in rates.items()},
            "load_cpu_share": {kind: round(share, 2) for kind, share in shares.items()},
            "faults": faults,
        }
    )


if __name__ == "__main__":
    main()
