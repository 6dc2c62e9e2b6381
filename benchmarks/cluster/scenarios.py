"""The faults, and the figures of what devices have felt of them."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trio

from benchmarks.cluster.canary import open_canary
from benchmarks.cluster.devices import Device, select, switch_on
from benchmarks.cluster.processes import Engine, Server, open_engine, open_server, until
from benchmarks.cluster.proxy import Proxy, open_proxy
from benchmarks.frames import Button
from benchmarks.tally import Seen, late_share, lateness_ms

DELAY_S = 0.01
"""What passes between devices, nodes and the engine is held for up to this."""

ARRIVAL_S = 0.004
"""Between two devices that are switched on before a fault."""

MODES = 5


@dataclass
class Outcome:
    """What was measured. `wrong` is empty where all was right."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    """Times, by what they are of."""

    wrong: list[str] = field(default_factory=list)
    heard: Seen = field(default_factory=Seen)
    """What the devices heard that no fault was to reach."""

    @property
    def late(self) -> str:
        """How late sound was, in words."""
        share, worst = late_share(self.heard.lateness), lateness_ms(self.heard.lateness, 1.0)
        return f"{self.heard.packets} packets, {share:.4%} late, the worst by {worst:.0f} ms"


@asynccontextmanager
async def open_pair(
    folder: Path, engine: Engine, *flags: str, delay_s: float = 0.0
) -> AsyncIterator[list[Server]]:
    """Two nodes; the way to the engine is slow where there is a delay."""
    async with AsyncExitStack() as stack:
        url = engine.url
        await engine.wait_answers()
        if delay_s:
            way = open_proxy([engine.port], lambda: random.uniform(0, delay_s))
            url = f"redis://127.0.0.1:{(await stack.enter_async_context(way)).port}"
        opening = [open_server(folder, url, *flags) for _ in range(2)]
        yield [await stack.enter_async_context(one) for one in opening]


def _judge(outcome: Outcome, devices: Sequence[Device], servers: Sequence[Server]) -> None:
    """Note devices that show another mode, or have heard sound that nobody asked for."""
    for device in devices:
        if device.mode != device.expected:
            outcome.wrong.append(f"{device.id} shows {device.mode}, not {device.expected}")
        faults = [f for f in device.tally.faults if "closed" not in f and "ended a call" not in f]
        outcome.wrong += [f"{device.id}: {fault}" for fault in faults if "server sent" not in fault]
    outcome.wrong += [str(line) for server in servers for line in server.faults]


# -- a device that moves


async def move(folder: Path, moves: int) -> Outcome:
    """A device that plays goes to the other node, so often; all ways are slow, in both ways."""
    outcome = Outcome({"first press acknowledged": [], "calls before ended": []})
    with open_engine(folder) as engine:
        async with (
            open_pair(folder, engine, delay_s=DELAY_S) as nodes,
            open_proxy([nodes[0].port], lambda: random.uniform(0, DELAY_S)) as one,
            open_proxy([nodes[1].port], lambda: random.uniform(0, DELAY_S)) as two,
            trio.open_nursery() as nursery,
        ):
            last: Device | None = None
            for number in range(moves):
                last = await _move_once(outcome, last, (one, two)[number % 2], nursery)
            assert last is not None
            outcome.wrong += [str(line) for node in nodes for line in node.faults]
            nursery.cancel_scope.cancel()
    return outcome


async def _move_once(
    outcome: Outcome, last: Device | None, to: Proxy, nursery: trio.Nursery
) -> Device:
    """Connect, as the same device, on another connection; check, change the mode, play."""
    began, device = time.monotonic(), Device("x", to.port)
    nursery.start_soon(device.live_once)
    device.expected = 0 if last is None else last.expected
    await until(lambda: device.player.ready)
    await device.press(Button.CONNECT)
    outcome.seconds["first press acknowledged"].append(time.monotonic() - began)
    if last is not None:
        await last.over.wait()
        outcome.seconds["calls before ended"].append(last.over_at - began)
    await until(lambda: device.mode == device.expected)
    if device.tally.firsts or device.player.playing:
        outcome.wrong.append("it plays unasked after a move")
    outcome.wrong += [f for f in device.tally.faults if "nobody asked" in f]
    device.expected = (device.expected + 1) % MODES
    await device.press(Button.MODE)
    await device.press(Button.PLAY)
    return device


# -- a node that is killed


async def kill_node(folder: Path, devices: int) -> Outcome:
    """Of two nodes one is killed, with half of the devices; a canary plays at the other one."""
    outcome = Outcome({"back and right": []})
    with open_engine(folder) as engine:
        async with (
            open_pair(folder, engine) as nodes,
            open_proxy([node.port for node in nodes]) as proxy,
            trio.open_nursery() as nursery,
        ):
            crowd = [Device(f"device-{number}", proxy.port) for number in range(devices)]
            await switch_on(crowd, nursery, ARRIVAL_S)
            for number, device in enumerate(crowd):
                await select(device, number % MODES)
            async with open_canary(nodes[1].port) as canary:
                await _kill(outcome, nodes[0], crowd, proxy)
                await trio.sleep(0.5)
                outcome.heard = await canary.heard()
            await trio.sleep(1.0)  # start-up sequences end
            outcome.wrong += [f"canary: {fault}" for fault in outcome.heard.faults]
            _judge(outcome, crowd, nodes[1:])
            nursery.cancel_scope.cancel()
    return outcome


async def _kill(outcome: Outcome, node: Server, crowd: Sequence[Device], proxy: Proxy) -> None:
    """Kill a node, and wait until all of its devices are back and show their modes."""
    lost = [device for device in crowd if proxy.node_of.get(device.local_port) == node.port]
    killed_at = time.monotonic()
    node.process.kill()
    async with trio.open_nursery() as nursery:
        for device in lost:
            nursery.start_soon(_note_back, outcome, device, killed_at)


async def _note_back(outcome: Outcome, device: Device, killed_at: float) -> None:
    before = len(device.came)
    await device.wait_again(before)
    outcome.seconds["back and right"].append(await device.be_right() - killed_at)


# -- an engine that is killed


async def kill_engine(folder: Path, devices: int, presses: int, away_s: float) -> Outcome:
    """The engine is killed in the midst of presses and started again; some devices play."""
    outcome = Outcome({"press acknowledged": [], "link back after its first answer": []})
    with open_engine(folder) as engine:
        async with (
            open_pair(folder, engine) as nodes,
            open_proxy([node.port for node in nodes]) as proxy,
            trio.open_nursery() as nursery,
        ):
            crowd = [Device(f"device-{number}", proxy.port) for number in range(devices)]
            players = [Device(f"player-{number}", proxy.port) for number in range(devices // 5)]
            await switch_on([*crowd, *players], nursery, ARRIVAL_S)
            for player in players:
                player.expected = 1
                await player.press(Button.MODE, Button.PLAY)
                player.tally.clear()
            async with trio.open_nursery() as pressing:
                for device in crowd:
                    pressing.start_soon(_press, outcome, device, presses // devices, away_s)
                await trio.sleep(0.5)
                engine.kill()
                await trio.sleep(away_s)
                engine.start()
                await engine.wait_answers()
                answered_at = time.monotonic()
            for node in nodes:
                back_at = await node.wait("cluster is up", 2)
                outcome.seconds["link back after its first answer"].append(back_at - answered_at)
            await _compare(outcome, engine, [*crowd, *players])
            outcome.heard = sum((Seen.of(player.tally) for player in players), Seen())
            _judge(outcome, [*crowd, *players], nodes)
            if any(len(device.came) > 1 for device in [*crowd, *players]):
                outcome.wrong.append("a device has lost its connection")
            nursery.cancel_scope.cancel()
    return outcome


async def _press(outcome: Outcome, device: Device, presses: int, away_s: float) -> None:
    """Press Mode, spread over the outage and a second on both sides of it."""
    for _ in range(presses):
        began = time.monotonic()
        device.expected = (device.expected + 1) % MODES
        await device.press(Button.MODE)
        outcome.seconds["press acknowledged"].append(time.monotonic() - began)
        await trio.sleep(random.uniform(0, 2 * (min(away_s, 3.0) + 1.5) / presses))


async def _compare(outcome: Outcome, engine: Engine, devices: Sequence[Device]) -> None:
    """Note devices of which the engine has another mode, in the end."""
    ids, kept = [device.id for device in devices], list[int]()
    with trio.move_on_after(10):
        while kept != [device.expected for device in devices]:
            await trio.sleep(0.05)
            kept = await engine.modes(ids)
    outcome.wrong += [
        f"{device.id} is kept in mode {mode}, not {device.expected}"
        for device, mode in zip(devices, kept, strict=True)
        if mode != device.expected
    ]


# -- a node that drains


async def drain_node(folder: Path, devices: int, drain_s: float) -> Outcome:
    """Of two nodes one drains; its devices go to the other one, spread over the time."""
    outcome = Outcome({"went after the begin of the drain": []})
    with open_engine(folder) as engine:
        async with (
            open_pair(folder, engine, "--drain-s", str(drain_s)) as nodes,
            open_proxy([nodes[0].port]) as proxy,
            trio.open_nursery() as nursery,
        ):
            crowd = [Device(f"device-{number}", proxy.port) for number in range(devices)]
            await switch_on(crowd, nursery, ARRIVAL_S)
            for number, device in enumerate(crowd):
                await select(device, number % MODES)
            proxy.nodes = [nodes[1].port]
            began = time.monotonic()
            nodes[0].drain()
            await until(lambda: all(len(device.came) > 1 for device in crowd))
            times = [device.came[1] - began for device in crowd]
            outcome.seconds["went after the begin of the drain"] = times
            async with trio.open_nursery() as checking:
                for device in crowd:
                    checking.start_soon(device.be_right)
            await trio.sleep(1.5)
            _judge(outcome, crowd, nodes)
            nursery.cancel_scope.cancel()
    return outcome
