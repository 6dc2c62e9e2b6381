"""The sightings of all nodes, collected for the inventory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

import trio

from audio_server.cluster.interface import NoAnswer, Nodes
from audio_server.fleet.agent import Agent
from audio_server.fleet.inventory import Inventory
from audio_server.fleet.sightings import COLLECT_S, Sighting

ANSWER_S = 2.0

LAST_S = 1.0
"""How long a server that stops waits for its nodes' last sightings."""


class Collector:
    """Collects from the nodes of `agents`, by name, which come and go."""

    def __init__(self, nodes: Nodes, agents: Mapping[str, Agent], inventory: Inventory) -> None:
        self._nodes = nodes
        self._agents = agents
        self._inventory = inventory

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Collect the devices that are seen for the block."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run)
            yield
            nursery.cancel_scope.cancel()

    async def _run(self) -> NoReturn:
        while True:
            await trio.sleep(COLLECT_S)
            await self.collect()

    async def collect_all(self) -> None:
        """Collect all that the nodes have seen: they are about to end."""
        with trio.move_on_after(LAST_S):
            await self.collect(everything=True)

    async def collect(self, *, everything: bool = False) -> None:
        """Collect the sightings that are due, or all, from all nodes at the same time."""
        async with trio.open_nursery() as nursery:
            for agent in list(self._agents.values()):
                nursery.start_soon(partial(self._collect_from, agent, everything=everything))

    async def _collect_from(self, agent: Agent, *, everything: bool) -> None:
        # One question at a time: a node gives sightings again that it does not know to be taken.
        async with agent.collecting:
            if agent.is_late:
                return
            asked = {"heard": agent.seen, "everything": everything}
            try:
                parts = await self._nodes.ask(agent.node, "seen", ANSWER_S, **asked)
            except NoAnswer:
                return
            with trio.CancelScope(shield=True):  # half an answer would be lost, or count twice
                for number, sightings in parts:
                    agent.seen = number
                    self._inventory.take((Sighting(*one) for one in sightings), agent.node)
                    await trio.lowlevel.checkpoint()
        if agent.node not in self._agents:
            self._inventory.lose(agent.node)  # it has ended with this answer
