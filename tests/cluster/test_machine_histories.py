"""Any interleaving of calls, presses, deaths and lost news at three workers of two machines.

As `test_histories.py`; the order that the model keeps is that of the machines.
"""

from __future__ import annotations

from typing import Any

import trio
from engine import EngineProcess
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from machine_nodes import MachineNodes, open_machine_nodes
from test_histories import (
    DEVICES,
    STEPS,
    Histories,
    ModelledCluster,
    Process,
    Truth,
    take_steps,
)

from audio_server.cluster.interface import ClusterDown


class ModelledMachine(ModelledCluster):
    """The cluster of a machine, with its calls that nobody waits for."""

    def _on_renewed(self, device_id: str, epoch: int, arrived: float, answer: Any) -> None:
        self.asked.insert(0, (device_id, arrived))
        count = len(self.asked)
        super()._on_renewed(device_id, epoch, arrived, answer)
        if len(self.asked) == count:  # it has left, and the engine has heard of its call
            self.asked.pop(0)
            assert not isinstance(answer, ClusterDown)
            if answer[0] == "granted":
                truth = self.truth[device_id]
                truth.node, truth.epoch = self.node, int(answer[1])
                truth.newest = max(truth.newest, round(arrived * 1e9))


class MachineHistories(Histories):
    """A device is where its machine has it."""

    nodes: MachineNodes

    def is_owner(self, process: Process, device: str, truth: Truth) -> bool:
        hub = self.nodes.machine_of(process.name)
        owner = hub.held.get(device)
        cluster: Any = hub._cluster
        held = process.ownership._held[device]
        is_owner = owner is not None and (owner.node, owner.epoch) == (process.name, held.epoch)
        assert not is_owner or truth.node == cluster.node
        return is_owner


@settings(
    max_examples=40,
    deadline=None,
    phases=set(Phase) - {Phase.shrink},
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=30, max_size=50))
def test_histories_of_workers_of_machines(
    engine: EngineProcess, steps: list[tuple[str, int, int, int]]
) -> None:
    engine.ask("FLUSHALL")
    trio.run(run, engine, steps)


async def run(engine: EngineProcess, steps: list[tuple[str, int, int, int]]) -> None:
    truth = {device: Truth() for device in DEVICES}
    kind = type("Modelled", (ModelledMachine,), {"truth": truth})
    async with open_machine_nodes(engine, kind=kind) as nodes:
        await take_steps(nodes, steps, truth, MachineHistories)
        for hub in nodes.hubs:
            assert hub._ownership._held.keys() == hub.held.keys()
            assert not hub._ownership._asking
            cluster: Any = hub._cluster
            assert set(cluster._known.here()) == hub.held.keys()
