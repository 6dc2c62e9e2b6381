"""Which connection of a device is its newest, and the mode it is in: kept by the supervisor.

The problem
===========

Workers are processes that share a port. The kernel gives each connection to one of them, and all
calls of a connection stay there; but a device that comes back may come back to another worker.
The contract then asks for three things. The device is in the mode it was left in, and an
acknowledged press counts. Its old connection is taken over at once, wherever it is. And whatever
the old one does later changes nothing.

How it works
============

Nobody but the registry says which connection of a device is the newest. Connections are numbered
so that all processes of the machine agree on the order (`numbers`). Three messages do the rest:

    a call arrives at worker A     A -> registry   Claim    who is it, on which connection
    the connection is the newest   registry -> A   Granted  and the mode to go on in
                                   registry -> B   Moved    to the worker that had the device
    it is not                      registry -> A   Moved    this call is refused
    a press changes the mode       A -> registry   Changed  the device, connection and new mode

Only the first call of a connection waits for an answer. From then on the worker knows that the
connection is the newest, until `Moved` says otherwise. So a call is claimed first, without any
lock, and then attached as in a server of one process: look-up-or-create, in one synchronous step
that refuses a connection of which a newer one has been heard.

All workers write into one pipe, and the registry takes its messages in the order in which they
lie there. That order is the truth, and it agrees with what a device has seen. A write is in the
pipe when it returns. A press is acknowledged after its `Changed` has been written; a device that
has got the acknowledgement and then connects elsewhere is claimed there later still. So the claim
lies behind the change, and the grant carries the new mode. (With one socket per worker the
supervisor could read the claim first. Sending copies of all modes to all workers instead would
make each press wait until the slowest of them has confirmed.)

What follows, race by race
==========================

- A press that the old worker handles after the claim of the new connection: its `Changed` comes
  from an older connection and is dropped. Its acknowledgement was written after the device
  had moved, so this is the old connection doing something later.
- A press handled before the claim counts, acknowledged or not.
- The take-over does not wait for the old worker: it may be stuck. Until it reads `Moved` it
  serves a connection that the device has left, and all that comes of it is dropped here.
- A call of the old connection that arrives after `Moved` is refused where it is; one that arrives
  before is refused by the registry.
- A newer connection to the same worker goes the same way, and the grant ends the old links
  there; otherwise a press between claim and grant would count at the worker and not here.
- Two connections of a device claimed by the same worker: the answer to the older one names the
  newer one, which that worker has already been granted. A worker heeds only the first that it
  hears of a connection.
- A worker that is killed takes nothing with it: what it has acknowledged lies in the pipe. The
  one that replaces it knows nothing and claims everything.
- A press waits for nothing but a full pipe, which is a supervisor that does not run.

Memory is bounded: what is known of the devices that claimed longest ago is forgotten, all but
their modes, which are the store's. When one of those comes back, all other workers are told.

There is no I/O here and no time. Modes that outlast a restart are the store's: the supervisor has
it, for one process must. Where it takes time to write, the supervisor answers each `Changed` with
`Kept` when that is done, and the acknowledgement of the press waits for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audio_server.device.mode_store import MemoryModeStore, ModeStore
from audio_server.workers.messages import Changed, Claim, Down, Granted, Moved

KNOWN_MAX = 100_000
"""For how many devices the newest connection is known."""

News = Iterable[tuple[int, Down]]
"""Messages, each with the worker that is to have it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Where a device is."""

    worker: int
    connection: int


class Directory:
    """What the supervisor knows of all devices. `workers` are numbered from 1."""

    def __init__(
        self, workers: int, *, store: ModeStore | None = None, known_max: int = KNOWN_MAX
    ) -> None:
        self._workers = range(1, workers + 1)
        self._store = MemoryModeStore() if store is None else store
        self._seats: OrderedDict[str, Owner] = OrderedDict()
        self._known_max = known_max
        self._has_forgotten = False

    def claim(self, claim: Claim) -> News:
        """Answer a claim, and tell whoever has lost the device by it."""
        last = self._seats.get(claim.device_id)
        if last is not None and claim.connection < last.connection:
            return [(claim.worker, Moved(claim.device_id, last.connection))]
        self._seat(claim.device_id, Owner(claim.worker, claim.connection))
        mode = self._store.get(claim.device_id)
        moved = Moved(claim.device_id, claim.connection)
        return [
            *((worker, moved) for worker in self._losers(last, claim.worker)),
            (claim.worker, Granted(claim.device_id, claim.connection, mode)),
        ]

    def worker_of(self, device_id: str) -> int | None:
        """At which worker a device is, or was last."""
        seat = self._seats.get(device_id)
        return None if seat is None else seat.worker

    def is_back(self, claim: Claim) -> bool:
        """Whether a claim is for a device that was on an older connection."""
        last = self._seats.get(claim.device_id)
        return last is not None and last.connection < claim.connection

    def change(self, changed: Changed) -> None:
        """Keep a mode, unless the device is on a newer connection."""
        last = self._seats.get(changed.device_id)
        if last is None or changed.connection >= last.connection:
            self._seat(changed.device_id, Owner(changed.worker, changed.connection))
            self._store.put(changed.device_id, changed.mode)

    def _losers(self, last: Owner | None, winner: int) -> Iterator[int]:
        if last is not None:
            others: Iterable[int] = (last.worker,)
        else:
            others = self._workers if self._has_forgotten else ()
        return (worker for worker in others if worker != winner)

    def _seat(self, device_id: str, seat: Owner) -> None:
        self._seats[device_id] = seat
        self._seats.move_to_end(device_id)
        if len(self._seats) > self._known_max:
            self._seats.popitem(last=False)
            self._has_forgotten = True
