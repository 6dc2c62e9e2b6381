"""What the operating system says of a process tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import proc

ROOT = Path(__file__).parents[2]

_BURNS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"])
while time.process_time() < 0.2:
    pass
held = bytearray(b"x") * 20_000_000
print("ready", flush=True)
sys.stdin.read()
child.wait()
"""
_SAYS = """
import os, time
from benchmarks import proc
while time.process_time() < 0.1:
    pass
print(proc.cpu_s(os.getpid()), time.process_time())
"""


def test_cpu_and_memory_of_a_tree_are_what_it_used() -> None:
    command = [sys.executable, "-c", _BURNS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        assert len(proc.tree(process.pid)) == 2
        used_s = proc.cpu_s(process.pid)
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        ticks_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        assert used_s >= 0.2
        assert used_s >= ticks_s - 0.02
        assert proc.rss_kb(process.pid) > 20_000
        assert 0 <= proc.waited_s(process.pid) < 60
        process.communicate(b"")


def test_own_time_is_what_the_clock_of_this_process_says() -> None:
    command = [sys.executable, "-c", _SAYS]  # this process may have children of other tests
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own_s, clock_s = map(float, said.split())
    assert own_s == pytest.approx(clock_s, abs=0.01)
    assert clock_s >= 0.1


def test_a_process_that_is_gone_used_nothing_more() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert proc.cpu_s(process.pid) == proc.rss_kb(process.pid) == 0
