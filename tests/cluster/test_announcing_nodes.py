"""Twenty nodes on one engine with ten thousand simulated devices, and announcements to all."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest
import trio
from engine import EngineProcess
from peer_stand import Peer, peer

from audio_server.clips.clip import Clip
from audio_server.cluster.peers import NodeFacts
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.fleet import of_nodes
from audio_server.fleet.announcements import Order
from audio_server.fleet.devices_here import DevicesHere
from audio_server.fleet.interface import missing_of
from audio_server.fleet.of_nodes import fleet_of_nodes
from audio_server.fleet.own_rows import own_fleet

NODES, DEVICES = 20, 500
CLIP = Clip.from_packets("bell", [b"\xf8\xff\xfe" * 30] * 500)


class Simulated:
    """A node that answers as one with devices does, once it has the sound."""

    def __init__(self, at: Peer, number: int, nursery: trio.Nursery) -> None:
        self._at = at
        self._ids = [f"device-{number}-{place}" for place in range(DEVICES)]
        self._nursery = nursery
        self.begun: list[str] = []
        at.answer = self.asked

    def asked(self, question: Any) -> None:
        self._nursery.start_soon(self._answer, question)

    async def _answer(self, question: Any) -> None:
        sound = await self._at.nodes.offered(question.facts["sha"])
        assert len(sound) == len(CLIP.frames)
        self.begun.append(question.facts["number"])
        question.add(dict.fromkeys(self._ids, ("done", None)))
        question.end(is_answered=True)


def reads_of(engine: EngineProcess) -> int:
    return int(engine.ask("INFO", "commandstats").split("cmdstat_get:calls=")[1].split(",")[0])


async def test_an_announcement_reaches_ten_thousand_and_names_a_node_that_hangs(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        own = await stack.enter_async_context(peer(engine.url, "own:1"))
        nodes = []
        for number in range(NODES):
            at = await stack.enter_async_context(peer(engine.url, f"n{number}:1"))
            nodes.append(Simulated(at, number, nursery))
        with trio.fail_after(30):
            while len((await own.nodes.around()).living) < NODES:  # noqa: ASYNC110
                await trio.sleep(0.05)
        devices = Devices([CLIP], Rules(1), 0.3)
        fleet = fleet_of_nodes(
            own_fleet(DevicesHere(devices)), own.nodes, lambda: NodeFacts("own:1")
        )
        before = reads_of(engine)
        outcomes = await fleet.announce(None, Order("first", CLIP))
        assert len(outcomes) == NODES * DEVICES
        assert missing_of(outcomes) == ()
        hung = nodes[7]
        hung._at.answer = lambda _: None
        monkeypatch.setattr(of_nodes, "ACT_S", 1.5)
        began = trio.current_time()
        outcomes = await fleet.announce(None, Order("second", CLIP))
        took_s = trio.current_time() - began
        assert len(outcomes) == (NODES - 1) * DEVICES
        assert missing_of(outcomes) == ("n7:1",)
        assert took_s < 1.5 + 1.0
        assert [node.begun for node in nodes if node is not hung] == [["first", "second"]] * 19
        assert reads_of(engine) - before == NODES * 2  # its size and its one part, by each once
