"""Small objects come to lie on huge pages, and memory does not grow for it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trio

from audio_server.process import huge_pages
from audio_server.process.huge_pages import EVERY_S, HugePages, keep_huge_pages

CROWD = """
import mmap, os, re
from pathlib import Path
from audio_server.process.huge_pages import MOST, HugePages

def huge_mb():
    sizes = re.findall(r"AnonHugePages: +([0-9]+) kB", Path("/proc/self/smaps").read_text())
    return sum(map(int, sizes)) / 1024

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

sparse = mmap.mmap(-1, 64 * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, len(sparse), 2**20):
    sparse[page] = 1
crowd = [bytes([at % 256, 1]) for at in range(1_000_000)]
before_mb, pages, steps = resident_mb(), HugePages(), [MOST]
while steps[-1]:
    steps.append(pages.join_some())
print(huge_mb(), resident_mb() - before_mb, max(steps))
"""


def test_full_ranges_become_huge_pages_and_sparse_ones_do_not() -> None:
    said = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, check=True)
    huge_mb, grown_mb, most = map(float, said.stdout.split())
    if not huge_mb:
        pytest.skip("this system joins no pages")
    assert huge_mb >= 24  # of 33
    assert grown_mb < 3
    assert most == huge_pages.MOST


def test_a_system_without_page_maps_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "PROC", huge_pages.PROC / "no such process")
    assert HugePages().join_some() == 0


async def test_it_is_ended_by_a_cancel(autojump_clock: trio.testing.MockClock) -> None:
    with trio.move_on_after(3 * EVERY_S) as scope:
        await keep_huge_pages()
    assert scope.cancelled_caught
