"""The simulation of a large fleet, on a small one: its times are those of its inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.million import (
    BACKOFF_S,
    FIGURES,
    Fault,
    Fleet,
    announced_s,
    back_s,
    engine_share,
    faults_of,
    table,
)

FLEET = Fleet(devices=20_000, devices_a_process=500)


@pytest.mark.parametrize("fault", faults_of(FLEET), ids=lambda fault: fault.name)
def test_each_device_that_was_lost_comes_back_once(fault: Fault) -> None:
    times = back_s(FLEET, fault)
    assert len(times) == len(fault.lost) * FLEET.devices_a_process
    assert times[0] > fault.noticed_s
    assert list(times) == list(back_s(FLEET, fault))


def test_survivors_take_arrivals_at_their_pace() -> None:
    """Half of the processes have 500 more each, of which 50 come at once and 500 a second."""
    lost = Fault("half", range(20), is_checked=True)
    even = (500 - FIGURES.arrivals_at_once) / FIGURES.arrivals_a_second
    assert even < back_s(FLEET, lost)[-1] < even + 0.4  # chance gives some more than others
    unpaced = replace(FIGURES, arrivals_a_second=1e6, arrival_cpu_s=1e-6)
    assert back_s(FLEET, lost, unpaced)[-1] < 0.3


def test_an_l4_without_checks_costs_a_pause_of_grpc() -> None:
    lost = Fault("one", range(1))
    checked = replace(lost, is_checked=True)
    assert back_s(FLEET, checked)[-1] < 0.2
    assert back_s(FLEET, lost)[-1] > 0.8 * BACKOFF_S


def test_everybody_waits_for_the_engine() -> None:
    everybody = Fault("everybody", range(FLEET.processes))
    slow = replace(FIGURES, claim_cpu_s=1e-3)
    assert back_s(FLEET, everybody, slow)[-1] == pytest.approx(20, rel=0.02)
    two = back_s(replace(FLEET, engines=2), everybody, slow)
    assert two[-1] == pytest.approx(10, rel=0.02)


def test_the_last_device_of_a_node_waits_for_all_before_it() -> None:
    times = announced_s(FLEET)
    assert len(times) == FLEET.devices
    assert times[-1] > FIGURES.announced_at_s + FLEET.devices_a_process * FIGURES.start_s
    assert times[0] < FIGURES.announced_latest_s


def test_the_engine_carries_heartbeats_and_presses() -> None:
    idle = engine_share(FLEET, 0, 1, FIGURES)
    assert idle == FLEET.processes * FIGURES.heartbeats_a_second * FIGURES.heartbeat_cpu_s
    assert engine_share(FLEET, 86_400, 1, FIGURES) == pytest.approx(
        idle + FLEET.devices * FIGURES.press_cpu_s
    )


def test_the_table_has_a_row_for_each_fault() -> None:
    small = Fleet(devices=4_000, devices_a_process=50)
    rows = table(small).splitlines()
    assert len(rows) == 2 + len(faults_of(small)) + 2 + 2
    assert all(row.count("|") == 6 for row in rows[:-2])
