"""Many devices at once, used at random, judged by the contract oracle.

A few seconds here; `INTEROP_SECONDS=60 pytest tests/interop/test_fleet.py -s` is the long run.
"""

from __future__ import annotations

import os

from fleet import run_fleet
from house import MODES
from server_process import ServerProcess

SECONDS = float(os.environ.get("INTEROP_SECONDS", "2"))
DEVICES = 20


def test_twenty_devices_used_at_random_see_no_violation(server: ServerProcess) -> None:
    tally = run_fleet(server.target, devices=DEVICES, seconds=SECONDS, modes=MODES)
    print(tally)
    assert tally.violations == []
    assert min(tally.connections, tally.takes) > DEVICES
