"""The healthy devices of a soak, who press what they like and note what comes of it.

Most are raw-frame players of the benchmark, which judge grammar, acks and times at next to no
cost; a few are virtual devices with an oracle each, which judge everything.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import trio
from fault_house import Watched

from audio_server.simulator.verdict import Limits
from benchmarks.frames import Button, opening
from benchmarks.player import Player
from benchmarks.tally import Seen, Tally

_USUAL = (Button.PLAY, Button.PLAY, Button.PLAY, Button.MODE, Button.STOP)
_LAG_STEP_S = 0.01
_RAMP = 16
WARM_UP_S = 10.0
"""In which all connect, which is what other benchmarks measure."""
# An oracle on a busy machine: real violations of pace or acks are measured by the players.
ORACLE_LIMITS = Limits(tolerance_s=0.5)


@dataclass
class Witnessed:
    """What the healthy devices saw; `lag_s` is how late the load's own loop was, each 10 ms."""

    seen: Seen = field(default_factory=Seen)
    violations: Counter[str] = field(default_factory=Counter)
    oracles: int = 0
    lag_s: array[float] = field(default_factory=lambda: array("d"))


class Load:
    """So many healthy devices of a server; `run` is one soak."""

    def __init__(self, port: int, players: int, oracles: int, seed: int = 0) -> None:
        self.tally = Tally()
        self.lag_s = array("d")
        self._port = port
        self._players = [Player(self.tally) for _ in range(players)]
        self._watched = [Watched(f"watched-{n}", port, ORACLE_LIMITS) for n in range(oracles)]
        self._random = Random(seed)
        self._connecting = trio.CapacityLimiter(_RAMP)
        self._pressing = True

    async def run(self, seconds: float) -> Witnessed:
        """Connect all, press at random for so long, let what is due come, leave."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._measure_lag)
            for each in self._watched:
                nursery.start_soon(each.live, seconds)
            for number, player in enumerate(self._players):
                nursery.start_soon(self._live, number, player)
            await trio.sleep(min(WARM_UP_S, seconds / 5))
            self._forget_times()
            await trio.sleep(seconds - min(WARM_UP_S, seconds / 5))
            self._pressing = False
            await trio.sleep(1.0)
            nursery.cancel_scope.cancel()
        return self._witnessed()

    def _forget_times(self) -> None:
        """Count from now on; faults are never forgotten."""
        faults = Counter(self.tally.faults)
        self.tally.clear()
        self.tally.faults.update(faults)
        del self.lag_s[:]

    def _witnessed(self) -> Witnessed:
        seen = Seen.of(self.tally)
        violations = Counter(seen.faults)
        waiting = sum(player.waits for player in self._players)
        if waiting:
            violations["an answer that never came"] = waiting
        for each in self._watched:
            violations.update(each.broken())
            if each.connections != 1:
                violations["a watched device was not connected once"] += 1
        return Witnessed(seen, violations, len(self._watched), self.lag_s)

    async def _live(self, number: int, player: Player) -> None:
        """One device: whatever ends its connection is the server's fault."""
        try:
            async with self._connecting:
                stream = await trio.open_tcp_stream("127.0.0.1", self._port)
                player.out += opening(f"healthy-{number}", "soak")
                await self._send(player, stream)
                while not player.ready:
                    await self._receive(player, stream)
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(self._use, player, stream)
                while not player.ended:
                    await self._receive(player, stream)
                nursery.cancel_scope.cancel()
        except* (OSError, trio.BrokenResourceError) as errors:
            player.fail(f"the connection broke: {errors.exceptions[0]!r}")

    async def _receive(self, player: Player, stream: trio.SocketStream) -> None:
        received = await stream.receive_some(65536)
        if not received:
            player.fail("the server closed the connection")
            return
        data = player.rest + received
        player.feed(data, len(data), time.monotonic())
        await self._send(player, stream)

    async def _send(self, player: Player, stream: trio.SocketStream) -> None:
        """At once: what a device says fits into its socket, and tasks must not wait in line."""
        out = bytes(player.out)
        player.out.clear()
        if out and await stream.socket.send(out) != len(out):
            raise trio.BrokenResourceError("the server does not read")

    async def _use(self, player: Player, stream: trio.SocketStream) -> None:
        while True:
            await trio.sleep(self._random.uniform(0.2, 3.0))
            if self._pressing and not player.waits:
                player.press(time.monotonic(), self._random.choice(_USUAL))
                await self._send(player, stream)

    async def _measure_lag(self) -> None:
        due = trio.current_time()
        while True:
            due = max(due + _LAG_STEP_S, trio.current_time())
            await trio.sleep_until(due)
            self.lag_s.append(trio.current_time() - due)
