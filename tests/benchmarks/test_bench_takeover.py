"""The benchmark of moves between servers runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ["first press acknowledged", "calls before ended"]),
        (["--bare"], ["claim granted", "node before told"]),
    ],
)
def test_moves_are_measured(options: list[str], names: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks.takeover", "--moves", "5", *options]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(.+): p50 [0-9.]+ ms, p99 [0-9.]+ ms$", done.stdout, re.MULTILINE)
    assert found == names
