"""Freed memory goes back to the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

CROWD = """
import os
from pathlib import Path
from audio_server.process.heap import trim_heap

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

crowd = [bytearray(20_000) for _ in range(5_000)]
last = bytearray(20_000)  # above the others, so that the heap does not shrink by itself
del crowd
kept_mb = resident_mb()
trim_heap()
print(kept_mb - resident_mb())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_the_memory_of_a_crowd_that_has_gone_goes_back() -> None:
    said = subprocess.run([sys.executable, "-c", CROWD], capture_output=True, text=True, check=True)
    assert float(said.stdout) > 80
