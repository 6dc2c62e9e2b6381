"""All devices of one cell: several load processes, told and asked as one."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import reduce
from multiprocessing.connection import Connection
from operator import add

from benchmarks.load import run_load
from benchmarks.machine import Cores
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

_ANSWER_S = 30.0
_END_S = 5.0


class LoadFailed(Exception):
    """A load process did not answer in time or is gone."""


class Fleet:
    """Orders go to every load process; their answers come back as one."""

    def __init__(self, pipes: Sequence[Connection[Order, Answer]]) -> None:
        self._pipes = pipes
        self._named = 0

    def connect(self, devices: int, within_s: float) -> int:
        """Switch so many more devices on; returns how many are ready at the end."""
        deadline = time.monotonic() + within_s
        self._connect(devices, deadline, None)
        answers = [self._answer(pipe, within_s + _ANSWER_S) for pipe in self._pipes]
        return sum(answer.ready for answer in answers if isinstance(answer, Connected))

    def join(self, devices: int, spread_s: float, within_s: float) -> None:
        """Switch so many more devices on, evenly; `joined` tells how many came."""
        self._connect(devices, time.monotonic() + within_s, spread_s)

    def joined(self) -> int:
        """Wait for the answer to `join`: how many devices are ready in all."""
        answers = [self._answer(pipe, _ANSWER_S) for pipe in self._pipes]
        return sum(answer.ready for answer in answers if isinstance(answer, Connected))

    def tell(self, order: Press) -> None:
        """Send an order that nobody answers."""
        for pipe in self._pipes:
            pipe.send(order)

    def probe(self, probe: Probe) -> None:
        """Share out probing: each process has its part of the rate."""
        for pipe in self._pipes:
            rate = probe.rate / len(self._pipes)
            pipe.send(Probe(probe.buttons, probe.at, probe.until, rate))

    def measure(self, at: float, until: float) -> None:
        """Have an interval counted; `report` waits for it."""
        for pipe in self._pipes:
            pipe.send(Measure(at, until))

    def report(self, until: float) -> Report:
        """What all processes saw in the interval that was ordered to end at `until`."""
        patience = max(0.0, until - time.monotonic()) + _ANSWER_S
        answers = [self._answer(pipe, patience) for pipe in self._pipes]
        return reduce(add, [answer for answer in answers if isinstance(answer, Report)], Report())

    def _connect(self, devices: int, deadline: float, spread_s: float | None) -> None:
        names = [f"bench-{self._named + index}" for index in range(devices)]
        self._named += devices
        for index, pipe in enumerate(self._pipes):
            pipe.send(Connect(names[index :: len(self._pipes)], deadline, spread_s))

    def _answer(self, pipe: Connection[Order, Answer], patience_s: float) -> Answer:
        try:
            if pipe.poll(patience_s):
                return pipe.recv()
        except (EOFError, OSError) as error:
            raise LoadFailed("a load process has ended") from error
        raise LoadFailed(f"a load process did not answer within {patience_s:.0f} s")


@contextmanager
def fleet(address: tuple[str, int], cores: Cores) -> Iterator[Fleet]:
    """Start one load process on each of its cores; end them on leaving the block."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for core in cores.load:
            ours, theirs = context.Pipe()
            args = (theirs, address, core)
            process = context.Process(target=run_load, args=args, daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        yield Fleet(pipes)
    finally:
        for pipe in pipes:
            with suppress(OSError):
                pipe.send(Quit())
            pipe.close()
        for process in processes:
            process.join(_END_S)
            process.kill()
