"""Devices that play, a large inventory, and pages that show all of it.

`python -m benchmarks.inventory --devices 2000 --known 10000 --pages 2`

The server runs on a core of its own, and the pages in Chromium on the others. The figures are the
server's CPU while the pages are open, and the time from the request of a page to its first row.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from audio_server.device.entry import Entry
from audio_server.state.file import StateFile
from audio_server.state.modes import STATE_FILE
from audio_server.state.record import Record
from benchmarks import proc
from benchmarks.announcements import CLIP_S, LEAD_MS, SETTLE_S, Crowd
from benchmarks.frames import Button
from benchmarks.machine import Cores, available_cores, raise_file_limit
from benchmarks.servers import HOST, OURS, Setup, running
from benchmarks.sound import make_clips

MEASURED_S = 20.0
PAGES_S = 60.0
"""Time for the pages to be there."""


def fill(data: Path, known: int) -> None:
    """Write an inventory of so many devices that are away."""
    now = time.time()
    entries = {
        f"known-{number}": Entry(now - 1e6, now - number, "10.0.0.7:51234", 3, 12, 0, 1, None)
        for number in range(known)
    }
    with StateFile(data / STATE_FILE) as file:
        file.write(Record(entries=dict(entries)))


class Pages:
    """Pages of all devices, in a thread. `shown_s` are the times to the first row of each."""

    def __init__(self, url: str, count: int) -> None:
        self.shown_s: list[float] = []
        self._url = url
        self._count = count
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    @property
    def are_there(self) -> bool:
        """Whether all pages show rows, or none will."""
        return len(self.shown_s) == self._count or not self._thread.is_alive()

    def _show(self) -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
            )
            for _ in range(self._count):
                page = browser.new_page()
                begun = time.monotonic()
                page.goto(self._url)
                page.locator("#rows .row").first.wait_for()
                page.fill("#search", "bench-1")
                page.locator("#rows .row").first.wait_for()
                self.shown_s.append(time.monotonic() - begun)
            self._done.wait()
            browser.close()

    def close(self) -> None:
        """Close the browser."""
        self._done.set()
        self._thread.join(10)


def main() -> None:
    """Measure without pages, then with pages; print a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--devices", type=int, default=2000)
    parser.add_argument("--known", type=int, default=10_000)
    parser.add_argument("--pages", type=int, default=2)
    asked = parser.parse_args()
    raise_file_limit()
    cores = Cores.plan(available_cores())
    os.sched_setaffinity(0, cores.load)
    with TemporaryDirectory() as name:
        folder = Path(name)
        make_clips(folder, CLIP_S)
        fill(folder / "data", asked.known)
        http = f"{HOST}:{_free_port()}"
        args = ["--http", http, "--data", str(folder / "data")]
        args += ["--limits.max-unauthenticated", "1000"]
        setup = Setup(folder, asked.devices, LEAD_MS, args=args)
        with running(OURS, setup, cores.server) as server:
            crowd = Crowd([server.address], tls=False)
            crowd.connect(asked.devices)
            crowd.press(Button.PLAY, within_s=2.0)
            crowd.read(SETTLE_S)
            _print(crowd, server.pid, asked.known, ())
            pages = Pages(f"http://{http}/", asked.pages)
            until = time.monotonic() + PAGES_S
            while not pages.are_there and time.monotonic() < until:
                crowd.read(0.1)
            crowd.read(SETTLE_S)
            _print(crowd, server.pid, asked.known, pages.shown_s)
            pages.close()


def _print(crowd: Crowd, pid: int, known: int, shown_s: Sequence[float]) -> None:
    crowd.tally.clear()
    cpu_s, waited_s = proc.cpu_s(pid), proc.waited_s(pid)
    crowd.read(MEASURED_S)
    figures = {
        "devices": len(crowd.listeners),
        "known": known,
        "pages": len(shown_s),
        "page_interactive_s": [round(one, 2) for one in shown_s],
        "server_cpu_percent": round(100 * (proc.cpu_s(pid) - cpu_s) / MEASURED_S, 1),
        "server_waited_percent": round(100 * (proc.waited_s(pid) - waited_s) / MEASURED_S, 1),
    }
    print(json.dumps(figures), flush=True)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
