"""A load process: one epoll loop, a socket a device, orders from a pipe.

It does nothing per packet but `Player.feed`, and tells how busy it was itself, so that a slow
load side is never taken for a slow server.
"""

from __future__ import annotations

import gc
import heapq
import os
import select
import signal
import socket
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import TypeVar

from benchmarks.frames import opening
from benchmarks.link import Link, Plain, Tls, client_context
from benchmarks.orders import (
    Answer,
    Connect,
    Connected,
    Measure,
    Order,
    Press,
    Probe,
    Quit,
    Report,
)
from benchmarks.player import Player
from benchmarks.tally import Seen, Tally

_BUFFER_BYTES = 256 * 1024
_CONNECTING = 32
_IDLE_S = 0.5
_REST_S = 0.0003
"""Between two looks at the sockets. Devices on machines of their own are woken by a network; here
each write of the server would wake a load process, on the account of the server's core: a fifth of
what a refill costs. What devices tell of times is up to this much later than it was."""

_T = TypeVar("_T")


def run_load(
    pipe: Connection[Answer, Order], address: tuple[str, int], core: int | None, tls: bool
) -> None:
    """The body of a load process; returns when told to quit or when the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if core is not None:
        os.sched_setaffinity(0, {core})
    gc.disable()
    Load(pipe, address, tls=tls).run()


class Load:
    """Devices on sockets, and an agenda of things to do at their time."""

    def __init__(
        self, pipe: Connection[Answer, Order], address: tuple[str, int], *, tls: bool = False
    ) -> None:
        self.pipe = pipe
        self.address = address
        self.context = client_context() if tls else None
        self.poll = select.epoll()
        self.poll.register(pipe.fileno(), select.EPOLLIN)
        self.tally = Tally()
        self.clients: dict[int, tuple[Link, Player]] = {}
        self.agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.booked = 0
        self.to_connect: deque[str] = deque()
        self.connecting: set[int] = set()
        self.joiners: set[int] = set()
        self.awaited = 0
        self.order: Connect | None = None
        self.rounds = array("d")
        self.buffer = bytearray(_BUFFER_BYTES)
        self.running = True

    def run(self) -> None:
        """Serve sockets, the pipe and the agenda until told to quit, or until nobody hears it."""
        with suppress(BrokenPipeError):
            self._run()

    def _run(self) -> None:
        while self.running:
            ready = self.poll.poll(self._until_next())
            began = time.monotonic()
            for fd, _ in ready:
                if fd in self.clients:
                    self._receive(fd)
                elif fd == self.pipe.fileno():
                    self._obey()
            self._do_what_is_due()
            self.rounds.append(time.monotonic() - began)
            time.sleep(_REST_S)

    def _until_next(self) -> float:
        if not self.agenda:
            return _IDLE_S
        return min(_IDLE_S, max(0.0, self.agenda[0][0] - time.monotonic()))

    def _at(self, when: float, do: Callable[[], None]) -> None:
        self.booked += 1
        heapq.heappush(self.agenda, (when, self.booked, do))

    def _do_what_is_due(self) -> None:
        while self.agenda and self.agenda[0][0] <= time.monotonic():
            heapq.heappop(self.agenda)[2]()

    # Sockets

    def _receive(self, fd: int) -> None:
        link, player = self.clients[fd]
        kept = len(player.rest)
        self.buffer[:kept] = player.rest
        try:
            received = link.receive(memoryview(self.buffer)[kept:])
        except BlockingIOError:
            self._send(fd)
            return
        except OSError:
            received = 0
        if not received:
            self._lost(fd, "the server closed the connection")
            return
        player.feed(self.buffer, kept + received, time.monotonic())
        if player.out:
            self._send(fd)
        if self.connecting and player.ready:
            self._settled(fd)

    def _send(self, fd: int) -> None:
        link, player = self.clients[fd]
        try:
            del player.out[: link.send(player.out)]
        except BlockingIOError:
            return
        except OSError:
            self._lost(fd, "the server closed the connection")

    def _lost(self, fd: int, why: str) -> None:
        link, player = self.clients.pop(fd)
        self.poll.unregister(fd)
        link.client.close()
        player.fail(why)
        self._settled(fd)

    # Switching on

    def _open(self, device_id: str, *, joins: bool = False) -> None:
        began = time.monotonic()
        try:
            client = socket.create_connection(self.address, timeout=5)
        except OSError as error:
            self.tally.faults[f"cannot connect: {error.strerror or error}"] += 1
            self.awaited -= 1
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        player = Player(self.tally, began)
        scheme = "https" if self.context else "http"
        player.out += opening(device_id, f"{self.address[0]}:{self.address[1]}", scheme)
        link = Tls(client, self.context) if self.context else Plain(client)
        self.clients[client.fileno()] = link, player
        self.connecting.add(client.fileno())
        if joins:
            self.joiners.add(client.fileno())
        self.poll.register(client.fileno(), select.EPOLLIN)
        self._send(client.fileno())

    def _settled(self, fd: int) -> None:
        """A device is ready, or will never be."""
        if fd in self.connecting:
            self.connecting.discard(fd)
            self.awaited -= 1
            self._connect_more()

    def _connect_more(self) -> None:
        while self.to_connect and len(self.connecting) < _CONNECTING:
            self._open(self.to_connect.popleft())
        if not self.awaited:
            self._tell_connected(self.order)

    def _tell_connected(self, order: Connect | None) -> None:
        """Answer an order to connect, once: its deadline may pass while the next one is obeyed."""
        if order and self.order is order:
            self.order = None
            self.pipe.send(Connected(sum(p.ready for _, p in self.clients.values())))

    # Orders

    def _obey(self) -> None:
        try:
            order = self.pipe.recv()
        except EOFError:
            self.running = False
            return
        match order:
            case Connect():
                self._connect(order)
            case Press():
                self._press(order)
            case Probe():
                self._probe(order)
            case Measure():
                self._at(order.at, self._begin)
                self._at(order.until, self._report)
            case Quit():
                self.running = False

    def _connect(self, order: Connect) -> None:
        self.awaited, self.order = len(order.devices), order
        self._at(order.deadline, partial(self._tell_connected, order))
        if order.spread_s is None:
            self.to_connect.extend(order.devices)
            self._connect_more()
        else:
            for when, device_id in _spread(order.devices, time.monotonic(), order.spread_s):
                self._at(when, partial(self._open, device_id, joins=order.joins))

    def _press(self, order: Press) -> None:
        for when, fd in _spread(self._players(), order.at, order.spread_s):
            self._at(when, partial(self._press_one, fd, order))

    def _probe(self, order: Probe) -> None:
        count = int((order.until - order.at) * order.rate)
        fds = self._players()
        if not fds:
            return
        turns = [fds[turn % len(fds)] for turn in range(count)]
        for when, fd in _spread(turns, order.at, order.until - order.at):
            self._at(when, partial(self._press_one, fd, order))

    def _players(self) -> list[int]:
        """Those who press: all but the ones that joined later."""
        return [fd for fd in self.clients if fd not in self.joiners]

    def _press_one(self, fd: int, order: Press | Probe) -> None:
        if fd in self.clients:
            self.clients[fd][1].press(time.monotonic(), *order.buttons)
            self._send(fd)

    # Figures

    def _begin(self) -> None:
        self.tally.clear()
        del self.rounds[:]
        self.began = time.monotonic()
        self.cpu_began = time.process_time()

    def _report(self) -> None:
        wall = time.monotonic() - self.began
        cpu = time.process_time() - self.cpu_began
        rounds = sorted(self.rounds)
        players = [player for _, player in self.clients.values()]
        self.pipe.send(
            Report(
                Seen.of(self.tally),
                playing=sum(player.playing for player in players),
                waiting=sum(player.waits for player in players),
                cpu_share=cpu / wall,
                lag_p99_s=rounds[int(0.99 * (len(rounds) - 1))] if rounds else 0.0,
                lag_worst_s=rounds[-1] if rounds else 0.0,
            )
        )


def _spread(things: Iterable[_T], at: float, over_s: float) -> Iterable[tuple[float, _T]]:
    """Pair each thing with its time, evenly."""
    rest = list(things)
    return [(at + over_s * index / len(rest), thing) for index, thing in enumerate(rest)]
