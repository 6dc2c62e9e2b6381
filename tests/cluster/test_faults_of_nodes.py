"""The scenarios of `benchmarks/cluster` with few devices: real nodes, engines and connections.

`nox -s cluster` runs them in their whole size.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audio_server.wire.comms_pb2 import DeviceStatusSet, RGBAColor
from benchmarks.cluster.devices import Device
from benchmarks.cluster.scenarios import Outcome, drain_node, kill_engine, kill_node, move
from benchmarks.tally import late_share

pytestmark = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed"
)

Scenario = Callable[[Path], Coroutine[Any, Any, Outcome]]


@pytest.mark.parametrize(
    ("scenario", "counts"),
    [
        (partial(move, moves=20), [20, 19]),
        (partial(kill_node, devices=40), [20]),
        (partial(kill_engine, devices=10, presses=100, away_s=0.0), [100, 2]),
        (partial(kill_engine, devices=10, presses=100, away_s=2.0), [100, 2]),
        (partial(drain_node, devices=20, drain_s=1.0), [20]),
    ],
    ids=["moves", "node killed", "engine killed", "engine away", "node drained"],
)
async def test_devices_are_right_after_a_fault(
    scenario: Scenario, counts: list[int], tmp_path: Path
) -> None:
    outcome = await scenario(tmp_path)
    assert outcome.wrong == []
    assert [len(times) for times in outcome.seconds.values()] == counts
    assert max(max(times) for times in outcome.seconds.values()) < 15
    assert late_share(outcome.heard.lateness) < 0.05


@pytest.mark.parametrize("mode", range(5))
def test_the_mode_of_a_device_is_read_from_its_leds(mode: int) -> None:
    device = Device("x", 1)
    lit = {f"led_{mode + 1}": RGBAColor(rgba=0x00FF00FF)} if mode else {}
    leds = bytes(DeviceStatusSet(led_1=RGBAColor(rgba=0xFF), **lit).SerializeToString())
    device.player.leds = bytes([len(leds)]) + leds
    assert device.mode == mode
