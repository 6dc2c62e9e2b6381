"""The short form against our real server: the whole benchmark, in a few seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_short_form_finds_nothing_wrong_with_our_server(tmp_path: Path) -> None:
    figures, plot = tmp_path / "bench.json", tmp_path / "bench.svg"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--peers", "none"]
    files = ["--json", str(figures), "--svg", str(plot)]
    run = subprocess.run(
        [*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (cell,) = json.loads(figures.read_text())["cells"]
    assert cell["server"] == "audio-server"
    assert cell["cpu_us_per_packet"] > 0
    assert cell["rss_kb_per_device"] > 0
    assert plot.read_text().startswith("<svg")
