"""Counts of connections, calls and devices, as numbers in an array.

Each method adds to a number at a place that is known beforehand: there are no objects to find or to
lock. A reader of the array sees each number whole.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import AsyncIterator, Mapping, MutableSequence
from contextlib import asynccontextmanager
from enum import Enum
from typing import TypeAlias

import trio
from grpclib.const import Status

from audio_server.cluster.instrumentation import Instrumentation as ClusterMeter
from audio_server.cluster.instrumentation import LivePackets
from audio_server.device.instrumentation import Instrumentation as DeviceMeter
from audio_server.device.instrumentation import LedFault, Outcome
from audio_server.metrics import families as of
from audio_server.metrics.family import Family
from audio_server.metrics.lag import watch_lag
from audio_server.rpc.instrumentation import Instrumentation as RpcMeter

Numbers: TypeAlias = "MutableSequence[float] | memoryview[float]"


def _places(family: Family) -> Mapping[str, int]:
    return {label: at for (label,), at in of.places(family).items()}


_DEVICES, _PLAYING = of.start_of(of.DEVICES), of.start_of(of.PLAYING)
_FAILING = of.start_of(of.FAILING)
_ARRIVALS, _RECONNECTS = of.start_of(of.ARRIVALS), of.start_of(of.RECONNECTS)
_TAKEOVERS = of.start_of(of.TAKEOVERS)
_PACKETS, _BYTES = of.start_of(of.PACKETS), of.start_of(of.SOUND_BYTES)
_OPEN, _OPENED = of.start_of(of.CONNECTIONS), of.start_of(of.CONNECTIONS_OPENED)
_CORRECTIONS = of.start_of(of.LED_CORRECTIONS)
_TAKES, _LED_FAULTS = _places(of.TAKES), _places(of.LED_FAULTS)
_REFUSED, _DROPPED = _places(of.CONNECTIONS_REFUSED), _places(of.CONNECTIONS_DROPPED)
_REQUESTS, _CALLS_OPEN = _places(of.REQUESTS_REFUSED), _places(of.CALLS_OPEN)
_CLUSTER_UP = of.start_of(of.CLUSTER_UP)
_CLUSTER_NODES = of.start_of(of.CLUSTER_NODES)
_MEMORY_ACKS, _PROVISIONAL = of.start_of(of.MEMORY_ACKS), of.start_of(of.PROVISIONAL)
_LIVE_PACKETS = _places(of.LIVE_PACKETS)
_WORKER_ENDS = _places(of.WORKER_ENDS)
_CALLS = of.places(of.CALLS)
_CERTIFICATES = _places(of.CERTIFICATE_ENDS)
_METHODS = {f"/{method}": method for method in of.METHODS}


class Metrics(RpcMeter, DeviceMeter, ClusterMeter):
    """Counts the events of this process in `numbers`, or in an array of its own.

    Counters go on from the values in `numbers`, gauges begin at 0: those of an earlier process mean
    nothing.
    """

    def __init__(self, numbers: Numbers | None = None) -> None:
        self._numbers: Numbers = [0.0] * of.SIZE if numbers is None else numbers
        for family in of.FAMILIES:
            if family.kind == "gauge":
                for at in of.places(family).values():
                    self._numbers[at] = 0.0
        self._numbers[of.PID_AT] = os.getpid()

    def _add(self, at: int, value: float = 1.0) -> None:
        self._numbers[at] += value

    def _observe(self, family: Family, value_s: float, times: int = 1) -> None:
        value_s = max(value_s, 0.0)
        start, bounds = of.start_of(family), family.bounds
        self._numbers[start + bisect_left(bounds, value_s)] += times
        self._numbers[start + len(bounds) + 1] += value_s * times

    # -- the process

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """A block in which it is counted how late the loop is."""
        self._beat()  # a loop that hangs at once has run, too
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_lag, self.lagged)
            yield
            nursery.cancel_scope.cancel()

    def worker_ended(self, how: Enum) -> None:
        """Count a worker's process that ended unasked; `how` is a `workers.process.End`."""
        self._add(_WORKER_ENDS.get(how.value, _WORKER_ENDS[of.OTHER]))

    def collected(self, pause_s: float) -> None:
        """A full collection has stopped the loop for so long."""
        self._observe(of.COLLECTIONS, pause_s)

    def playing(self) -> float:
        """Return how many devices have a take, in this process."""
        return self._numbers[_PLAYING]

    def lagged(self, late_s: float) -> None:
        """A task ran this long after it was due."""
        self._beat()
        self._observe(of.LOOP_LAG, late_s)

    def _beat(self) -> None:
        """Show the process that watches this one that the loop runs."""
        self._numbers[of.BEATS_AT] += 1.0

    def certificate_ends(self, file: str, at: float) -> None:
        """A certificate of this file expires then, in seconds since 1970."""
        self._numbers[_CERTIFICATES[file]] = at

    # -- the cluster

    def cluster_is(self, *, up: bool) -> None:
        self._numbers[_CLUSTER_UP] = float(up)

    def cluster_nodes(self, count: int) -> None:
        """So many nodes share the cluster, with this one."""
        self._numbers[_CLUSTER_NODES] = float(count)

    def acknowledged_from_memory(self) -> None:
        self._add(_MEMORY_ACKS)

    def provisional_devices(self, count: int) -> None:
        self._numbers[_PROVISIONAL] = float(count)

    def live_packets(self, what: LivePackets, count: int) -> None:
        self._add(_LIVE_PACKETS[what], count)

    # -- connections and calls

    def connection_opened(self) -> None:
        self._add(_OPEN)
        self._add(_OPENED)

    def connection_closed(self) -> None:
        self._add(_OPEN, -1.0)

    def connection_refused(self, reason: str) -> None:
        self._add(_REFUSED.get(reason, _REFUSED[of.OTHER]))

    def connection_dropped(self, reason: str) -> None:
        reason = "idle" if reason == "no_error" else reason
        self._add(_DROPPED.get(reason, _DROPPED[of.OTHER]))

    def request_refused(self, reason: str) -> None:
        self._add(_REQUESTS.get(reason, _REQUESTS[of.OTHER]))

    def call_begun(self, path: str) -> None:
        self._add(_CALLS_OPEN[_METHODS.get(path, of.OTHER)])

    def call_ended(self, path: str, status: Status) -> None:
        method = _METHODS.get(path, of.OTHER)
        self._add(_CALLS_OPEN[method], -1.0)
        self._add(_CALLS[method, status.name])

    # -- devices

    def device_came(self) -> None:
        self._add(_DEVICES)
        self._add(_ARRIVALS)

    def device_gone(self) -> None:
        self._add(_DEVICES, -1.0)

    def device_back(self) -> None:
        self._add(_RECONNECTS)

    def device_taken_over(self) -> None:
        self._add(_TAKEOVERS)

    def devices_failing(self, count: int) -> None:
        self._numbers[_FAILING] = float(count)

    def take_begun(self) -> None:
        self._add(_PLAYING)

    def take_over(self, outcome: Outcome) -> None:
        self._add(_PLAYING, -1.0)
        self._add(_TAKES[outcome.value])

    def sent(self, packets: int, size_bytes: int) -> None:
        numbers = self._numbers
        numbers[_PACKETS] += packets
        numbers[_BYTES] += size_bytes

    def served(self, steps: int, late_s: float) -> None:
        self._observe(of.REFILLS, late_s, steps)

    def acknowledged(self, after_s: float) -> None:
        self._observe(of.ACKS, after_s)

    def led_corrected(self) -> None:
        self._add(_CORRECTIONS)

    def led_fault(self, fault: LedFault) -> None:
        self._add(_LED_FAULTS[fault.value])
