"""All devices of one cell: several load processes, told and asked as one."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import reduce
from multiprocessing.connection import Connection
from operator import add
from typing import TypeVar

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

_PATIENCE_S = 30.0
_START_S = 30.0
_END_S = 5.0

_Answer = TypeVar("_Answer", Connected, Report)


class LoadFailed(Exception):
    """A load process did not answer in time or is gone."""


class Fleet:
    """Orders go to every load process; their answers come back as one."""

    def __init__(self, pipes: Sequence[Connection[Order, Answer]]) -> None:
        self._pipes = pipes
        self._early: dict[int, list[Answer]] = {index: [] for index in range(len(pipes))}
        self._named = 0

    def connect(
        self,
        devices: int,
        within_s: float,
        spread_s: float | None = None,
        *,
        joins: bool = False,
    ) -> None:
        """Switch so many more devices on; `connected` tells how many came.

        With `spread_s` they come evenly over that time; without it as fast as the server takes
        them. Those that join press nothing.
        """
        names = [f"bench-{self._named + index}" for index in range(devices)]
        self._named += devices
        deadline = time.monotonic() + within_s
        for index, pipe in enumerate(self._pipes):
            pipe.send(Connect(names[index :: len(self._pipes)], deadline, spread_s, joins))

    def connected(self, within_s: float) -> int:
        """Wait for the answer to `connect`: how many devices are ready in all."""
        return sum(answer.ready for answer in self._answers(Connected, within_s))

    def press(self, press: Press) -> None:
        """All devices press."""
        for pipe in self._pipes:
            pipe.send(press)

    def probe(self, probe: Probe) -> None:
        """Single devices press: each process has its part of the rate."""
        for pipe in self._pipes:
            pipe.send(replace(probe, rate=probe.rate / len(self._pipes)))

    def measure(self, at: float, until: float) -> None:
        """Have an interval counted; `report` waits for it."""
        for pipe in self._pipes:
            pipe.send(Measure(at, until))

    def report(self, until: float) -> Report:
        """What all processes saw in the interval that was ordered to end at `until`."""
        within_s = max(0.0, until - time.monotonic())
        return reduce(add, self._answers(Report, within_s), Report())

    def _answers(self, kind: type[_Answer], within_s: float) -> list[_Answer]:
        deadline = time.monotonic() + within_s + _PATIENCE_S
        return [self._answer(index, kind, deadline) for index in range(len(self._pipes))]

    def _answer(self, index: int, kind: type[_Answer], deadline: float) -> _Answer:
        """The next answer of a kind from one process; others are kept for who waits for them."""
        early = self._early[index]
        while True:
            for answer in early:
                if isinstance(answer, kind):
                    early.remove(answer)
                    return answer
            early.append(self._receive(self._pipes[index], deadline - time.monotonic()))

    def _receive(self, pipe: Connection[Order, Answer], patience_s: float) -> Answer:
        try:
            if pipe.poll(max(0.0, patience_s)):
                return pipe.recv()
        except (EOFError, OSError) as error:
            raise LoadFailed("a load process has ended") from error
        raise LoadFailed("a load process did not answer in time")


@contextmanager
def fleet(address: tuple[str, int], cores: Cores, *, tls: bool = False) -> Iterator[Fleet]:
    """Start one load process on each of its cores, ready; end them on leaving the block."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for core in cores.load:
            ours, theirs = context.Pipe()
            args = (theirs, address, core, tls)
            process = context.Process(target=run_load, args=args, daemon=True)
            process.start()
            theirs.close()
            pipes.append(ours)
            processes.append(process)
        devices = Fleet(pipes)
        devices.connect(0, _START_S)
        devices.connected(_START_S)
        yield devices
    finally:
        for pipe in pipes:
            with suppress(OSError):
                pipe.send(Quit())
            pipe.close()
        for process in processes:
            process.join(_END_S)
            process.kill()
