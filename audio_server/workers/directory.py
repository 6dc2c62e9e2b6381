"""Which worker each device is at, and the mode it is in: kept by the supervisor.

The problem
===========

Workers are processes that share a port. The kernel gives each connection to one of them, and all
calls of a connection stay there. Within one worker, take-over is by call (`device.takeover`); a
device is at one worker at a time, so all its calls must reach the same one. But a device that
comes back may come back to another worker. The contract then asks for three things. The device is
in the mode it was left in, and an acknowledged press counts. Its calls at the old worker end at
once. And their later acts change nothing.

How it works
============

Only the directory decides at which worker a device is. The time in which one worker has it without
a break is a tenure; tenures of a device are numbered, and later ones have larger numbers. Calls
are numbered by their arrival so that all processes of the machine agree on the order
(`connection_ids`). These messages do the rest:

    a call arrives at worker A        A -> directory  Claim    the device, and when the call came
    A has the device, or gets it      directory -> A  Granted  the tenure, and the mode to go on in
                                      directory -> B  Moved    to the worker that had the device
    B has it by a newer call          directory -> A  Refused
    a press changes the mode          A -> directory  Changed  the device, tenure and new mode

Only the first call of a connection waits for an answer; where the device has a call open on the
same connection, the next one is attached at once. A call is claimed first, without any lock, and
then attached as in a server of one process: look-up-or-create, in one synchronous step with the
end of the claim. A claim of the worker that has the device changes nothing: its other calls there
go on, whatever connections they are on.

All workers write into one pipe, and the directory takes its messages in the order in which they
lie there. That order is the truth, and it agrees with what a device has seen. A write is in the
pipe when it returns. A press is acknowledged after its `Changed` has been written; a device that
has got the acknowledgement and then connects elsewhere is claimed there later still. So the claim
lies behind the change, and the grant carries the new mode. (With one socket per worker the
supervisor could read the claim first. Sending copies of all modes to all workers instead would
make each press wait until the slowest of them has confirmed.)

Consequences, race by race
==========================

- A press that the old worker handles after the claim of the new one: its `Changed` is of an older
  tenure and is dropped. Its acknowledgement was written after the device had moved, so this is an
  ended call doing something later.
- A press handled before the claim counts, acknowledged or not.
- The take-over does not wait for the old worker: it may be stuck. Until it reads `Moved` it
  serves calls that the device has left, and all their messages are dropped here.
- A call that lay in the queue of a busy worker while the device went to another one arrived before
  the claim of that one, and is refused. A call that is newer wins, whatever the age of its
  connection.
- A device that goes from A to B and back before A has read `Moved`: the call back is on another
  connection, so it is claimed, and the answer lies behind `Moved`, which ends the older calls.
- A worker that is killed takes nothing with it: its acknowledged changes lie in the pipe. The
  one that replaces it knows nothing, claims everything, and begins tenures of its own, so answers
  to the one before do not confuse it.
- A press waits for nothing but a full pipe, which is a supervisor that does not run.

Memory is bounded: the entries of the devices that claimed longest ago are forgotten, all but
their modes, which are the store's. When one of those comes back, all other workers are told.

There is no I/O here and no time. Modes that outlast a restart are the store's: the supervisor has
it, for one process must. Where it takes time to write, the supervisor answers each `Changed` with
`Kept` when that is done, and the acknowledgement of the press waits for it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from audio_server.device.mode_store import MemoryModeStore, ModeStore
from audio_server.workers.messages import Changed, Claim, Down, Granted, Moved, Refused

KNOWN_MAX = 100_000
"""For how many devices it is known at which worker they are."""

News = Iterable[tuple[int, Down]]
"""Messages, each with the worker that is to have it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Where a device is: at the `life`-th process of a worker, since a tenure began. `newest` is
    the arrival of the newest call that was claimed for."""

    worker: int
    life: int
    tenure: int
    newest: int


class Directory:
    """The supervisor's knowledge of all devices. `workers` are numbered from 1."""

    def __init__(
        self, workers: int, *, store: ModeStore | None = None, known_max: int = KNOWN_MAX
    ) -> None:
        self._workers = range(1, workers + 1)
        self._store = MemoryModeStore() if store is None else store
        self._seats: OrderedDict[str, Owner] = OrderedDict()
        self._lives: Counter[int] = Counter()
        self._known_max = known_max
        self._has_forgotten = False

    def begin(self, worker: int) -> None:
        """Note a new process of a worker; answers to the one before it are void."""
        self._lives[worker] += 1

    def claim(self, claim: Claim) -> News:
        """Answer a claim, and tell the worker that has lost the device by it."""
        last = self._seats.get(claim.device_id)
        is_here = last is not None and last.worker == claim.worker
        if last is not None and not is_here and claim.arrival < last.newest:
            return [(claim.worker, Refused(claim.device_id, claim.arrival))]
        owner = self._seat_for(claim, last)
        self._owner(claim.device_id, owner)
        mode = self._store.get(claim.device_id)
        moved = Moved(claim.device_id, owner.tenure)
        return [
            *((worker, moved) for worker in self._losers(last, claim.worker)),
            (claim.worker, Granted(claim.device_id, claim.arrival, owner.tenure, mode)),
        ]

    def _seat_for(self, claim: Claim, last: Owner | None) -> Owner:
        life = self._lives[claim.worker]
        if last is None:
            return Owner(claim.worker, life, claim.arrival, claim.arrival)
        newest = max(claim.arrival, last.newest)
        if (last.worker, last.life) == (claim.worker, life):
            return replace(last, newest=newest)
        return Owner(claim.worker, life, max(newest, last.tenure + 1), newest)

    def worker_of(self, device_id: str) -> int | None:
        """At which worker a device is, or was last."""
        owner = self._seats.get(device_id)
        return None if owner is None else owner.worker

    def change(self, changed: Changed) -> None:
        """Keep a mode, unless the tenure is over."""
        last = self._seats.get(changed.device_id)
        if last is None:
            life, tenure = self._lives[changed.worker], changed.tenure
            last = Owner(changed.worker, life, tenure, tenure)
        if changed.tenure == last.tenure:
            self._owner(changed.device_id, last)
            self._store.put(changed.device_id, changed.mode)

    def _losers(self, last: Owner | None, winner: int) -> Iterator[int]:
        if last is not None:
            others: Iterable[int] = (last.worker,)
        else:
            others = self._workers if self._has_forgotten else ()
        return (worker for worker in others if worker != winner)

    def _owner(self, device_id: str, owner: Owner) -> None:
        self._seats[device_id] = owner
        self._seats.move_to_end(device_id)
        if len(self._seats) > self._known_max:
            self._seats.popitem(last=False)
            self._has_forgotten = True
