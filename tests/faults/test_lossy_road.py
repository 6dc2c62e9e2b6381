"""The contract where IP packets are lost, between two network namespaces."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def test_two_percent_loss_and_50_ms_each_way_break_no_contract() -> None:
    """Skipped where the machine has no namespaces, TUN devices or `ip`; it says which."""
    command = [sys.executable, str(HERE / "lossy_devices.py"), "2", "50", "2.5"]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
    )
    if run.returncode == 3:
        pytest.skip(f"no networks to be had here: {run.stdout.strip()}")
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout.splitlines()[-1])
    assert seen["lost"] > 0.005 * seen["forwarded"] > 0
    assert seen["broken"] == []
    assert set(seen["connections"]) == {1}
    assert min(seen["takes"]) >= 1
