"""The benchmark of a live channel in its shortest form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_live_channel_is_measured_against_a_clip() -> None:
    flags = ["--devices", "5", "--seconds", "1", "--rounds", "1"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AUDIO_")}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.live", *flags],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["faults"] == {}
    for kind in ("clip", "live"):
        assert figures[f"{kind}_us_per_packet"] > 0
        assert 40 < figures["packets_per_s_per_device"][kind] < 60
