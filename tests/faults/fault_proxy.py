"""A road between devices and server on which everything may happen that happens on a network.

Each way of a connection is a pump: bytes come in, wait as the `Weather` says, go out in pieces.
TCP stays TCP: nothing is lost or turned round, only late, slow, in crumbs, cut or silent.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import trio

_READ_BYTES = 16 * 1024
_ON_THE_ROAD = 64
"""Pieces between two ends; with more the pump does not read, and TCP pushes back."""

_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


@dataclass
class Weather:
    """What a road does to bytes, both ways; it may change at any time."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much more latency, drawn anew for each piece; order is kept."""
    bytes_per_s: float = math.inf
    piece_bytes: int = _READ_BYTES
    """The most that travels together; 1 is one byte at a time."""


class Pump:
    """One way of a connection. `run` carries until the source ends, then ends the sink too."""

    def __init__(
        self, weather: Weather, random: Random, wait_open: Callable[[], trio.Event]
    ) -> None:
        self._weather = weather
        self._random = random
        self._wait_open = wait_open
        self._due_s = -math.inf
        self._free_s = -math.inf

    async def run(self, source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
        """Raises, in a group, what the streams raise. Closes neither."""
        road_in, road_out = trio.open_memory_channel[tuple[float, bytes]](_ON_THE_ROAD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._take, source, road_in)
            await self._give(road_out, sink)

    async def _take(
        self, source: trio.abc.ReceiveStream, road: trio.MemorySendChannel[tuple[float, bytes]]
    ) -> None:
        async with road:
            while data := await source.receive_some(_READ_BYTES):
                step = self._weather.piece_bytes
                for start in range(0, len(data), step):
                    piece = bytes(data[start : start + step])
                    await road.send((self._due(len(piece)), piece))

    def _due(self, size: int) -> float:
        """When a piece that sets out now is there, after those before it."""
        now = trio.current_time()
        self._free_s = max(now, self._free_s) + size / self._weather.bytes_per_s
        jitter_s = self._weather.jitter_s * self._random.random()
        self._due_s = max(self._due_s, self._free_s + self._weather.latency_s + jitter_s)
        return self._due_s

    async def _give(
        self, road: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.abc.SendStream
    ) -> None:
        async for due_s, piece in road:
            if due_s > trio.current_time():
                await trio.sleep_until(due_s)
            await self._wait_open().wait()
            await sink.send_all(piece)
        await self._wait_open().wait()
        if isinstance(sink, trio.abc.HalfCloseableStream):
            await sink.send_eof()


class Road:
    """One connection through the proxy: `near` is the device's end, `far` the server's."""

    def __init__(self, near: trio.SocketStream, far: trio.SocketStream) -> None:
        self.near = near
        self.far = far
        self._scope = trio.CancelScope()
        self._let_go = trio.Event()

    async def run(self, to_server: Pump, to_device: Pump) -> None:
        """Carry until both ways have ended, one of the ends breaks, or `end`."""
        async with self.near, self.far:
            with self._scope:
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(to_server.run, self.near, self.far)
                        await to_device.run(self.far, self.near)
                except* _GONE:
                    if not self._scope.cancel_called:
                        self.end(reset=True)
            if self._scope.cancel_called:
                await self._let_go.wait()

    def end(self, *, reset: bool = False, tell_server: bool = True) -> None:
        """Close both ends at once, by FIN or RST; or the device's alone, as if it had vanished.

        A server that is not told keeps a connection on which nobody speaks or listens, until
        `let_go`.
        """
        self._scope.cancel()
        for end in (self.near, self.far) if tell_server else (self.near,):
            if reset and end.socket.fileno() >= 0:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.socket.close()
        if tell_server:
            self._let_go.set()

    def let_go(self) -> None:
        """Close what the server was not told about."""
        self._let_go.set()


class Proxy:
    """Takes connections for a server. `run` is its life; the rest is what happens to them."""

    def __init__(self, server_port: int, weather: Weather | None = None, *, seed: int = 0) -> None:
        self.weather = weather or Weather()
        self.roads: set[Road] = set()
        self._server_port = server_port
        self._random = Random(seed)
        self._open = trio.Event()
        self._open.set()

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        """Forward until cancelled; gives the port to `task_status.started`."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        task_status.started(listeners[0].socket.getsockname()[1])
        await trio.serve_listeners(self._forward, listeners)

    def block(self) -> None:
        """Half-open: both ends stay, and hear nothing of each other."""
        self._open = trio.Event()

    def unblock(self) -> None:
        """Forward again, first of all what waited."""
        self._open.set()

    def cut(self) -> None:
        """Close all connections properly (FIN)."""
        self._end()

    def reset(self) -> None:
        """Break all connections (RST)."""
        self._end(reset=True)

    def lose_devices(self) -> None:
        """The devices' ends are gone, and the server is not told."""
        for road in list(self.roads):
            road.end(tell_server=False)

    def let_go(self) -> None:
        """Close what `lose_devices` left to the server."""
        for road in self.roads:
            road.let_go()

    def _end(self, *, reset: bool = False) -> None:
        for road in list(self.roads):
            road.end(reset=reset)

    async def _forward(self, near: trio.SocketStream) -> None:
        try:
            far = await trio.open_tcp_stream("127.0.0.1", self._server_port)
        except OSError:
            await trio.aclose_forcefully(near)
            return
        road = Road(near, far)
        self.roads.add(road)
        try:
            await road.run(self._pump(), self._pump())
        finally:
            self.roads.discard(road)

    def _pump(self) -> Pump:
        return Pump(self.weather, self._random, lambda: self._open)
