"""Any interleaving of what travels between workers and registry: the mode is the device's own.

There is no clock and no task here, only queues: the pipe that all workers write into, one way back
to each, and the calls that lie unread at a worker. Hypothesis chooses which of them moves, and what
devices do meanwhile. The pipe decides who came first, so a press counts if it was handled before
a newer call was claimed for another worker.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from audio_server.device.mode_store import MemoryModeStore
from audio_server.workers.cache import OwnershipCache
from audio_server.workers.directory import Directory
from audio_server.workers.messages import Changed, Claim, Granted, Moved, Ready, Refused, Up

WORKERS = (1, 2, 3)
DEVICES = ("one", "two")
CONNECTIONS = (1, 2)
MODES = 5


class Call(NamedTuple):
    """A call that lies at a worker; connections are numbered for each worker."""

    worker: int
    device: str
    connection: int
    arrival: int


@dataclass
class Attached:
    """A device at a worker: by the connections of its calls."""

    mode: int
    connections: set[int] = field(default_factory=set)


@dataclass
class Worker:
    """A worker as `Ownership` and `Devices` make it, without their tasks."""

    number: int
    news: deque[Granted | Refused | Moved] = field(default_factory=deque)
    attached: dict[str, Attached] = field(default_factory=dict)
    waiting: dict[tuple[str, int], int] = field(default_factory=dict)
    """The arrival that was claimed for, by device and connection."""

    def __post_init__(self) -> None:
        """It forgets devices as early as it may."""
        self.cache = OwnershipCache(self.number, lambda id: id in self.attached, known_max=1)

    def tenure(self, device: str) -> int:
        return self.cache._known[device].tenure


@dataclass
class Owner:
    """Which worker has a device, by the order of the pipe."""

    worker: int = 0
    life: int = 0
    tenure: int = 0
    newest: int = 0
    mode: int = 0


class Histories(RuleBasedStateMachine):
    """Devices that come and go between three workers."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryModeStore()
        self.registry = Directory(len(WORKERS), store=self.store)
        self.pipe: deque[Up] = deque()
        self.workers = {number: Worker(number) for number in WORKERS}
        self.lives = dict.fromkeys(WORKERS, 0)
        self.calls: list[Call] = []
        self.arrivals = 0
        self.owners = {device: Owner() for device in DEVICES}

    # What devices do

    @rule(
        device=st.sampled_from(DEVICES),
        worker=st.sampled_from(WORKERS),
        connection=st.sampled_from(CONNECTIONS),
    )
    def a_call_arrives(self, device: str, worker: int, connection: int) -> None:
        self.arrivals += 1
        self.calls.append(Call(worker, device, connection, self.arrivals))

    @rule(data=st.data())
    @precondition(lambda self: self.calls)
    def a_call_is_read(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        self.calls.remove(call)
        worker, key = self.workers[call.worker], (call.device, call.connection)
        here = worker.attached.get(call.device)
        is_attached = here is not None and call.connection in here.connections
        if key not in worker.waiting and not is_attached:
            worker.waiting[key] = call.arrival
            self.pipe.append(Claim(call.worker, call.device, call.arrival))
            self.is_claimed(self.owners[call.device], call)

    def is_claimed(self, owner: Owner, call: Call) -> None:
        """The newest call has the device, unless its worker has it already."""
        life = self.lives[call.worker]
        if owner.worker not in (0, call.worker) and call.arrival < owner.newest:
            return
        if (owner.worker, owner.life) != (call.worker, life):
            owner.tenure = max(call.arrival, owner.newest, owner.tenure + 1)
        owner.worker, owner.life = call.worker, life
        owner.newest = max(owner.newest, call.arrival)

    @rule(data=st.data(), home=st.booleans())
    @precondition(lambda self: any(worker.attached for worker in self.workers.values()))
    def press(self, data: st.DataObject, home: bool) -> None:
        worker, device = self.draw_attached(data)
        here, owner = worker.attached[device], self.owners[device]
        counts = (owner.worker, owner.tenure) == (worker.number, worker.tenure(device))
        assert not counts or here.mode == owner.mode
        here.mode = 0 if home else (here.mode + 1) % MODES
        self.pipe.append(worker.cache.change(device, here.mode))
        if counts:
            owner.mode = here.mode

    @rule(data=st.data())
    @precondition(lambda self: any(worker.attached for worker in self.workers.values()))
    def drop(self, data: st.DataObject) -> None:
        worker, device = self.draw_attached(data)
        connections = worker.attached[device].connections
        connections.remove(data.draw(st.sampled_from(sorted(connections))))
        if not connections:
            del worker.attached[device]

    def draw_attached(self, data: st.DataObject) -> tuple[Worker, str]:
        return data.draw(
            st.sampled_from([(w, d) for w in self.workers.values() for d in w.attached])
        )

    # What travels

    @rule()
    @precondition(lambda self: self.pipe)
    def the_registry_reads(self) -> None:
        match message := self.pipe.popleft():
            case Claim():
                for worker, news in self.registry.claim(message):
                    assert isinstance(news, Granted | Refused | Moved)
                    self.workers[worker].news.append(news)
            case Changed():
                self.registry.change(message)
            case Ready():
                self.registry.begin(message.worker)

    @rule(data=st.data())
    @precondition(lambda self: any(worker.news for worker in self.workers.values()))
    def a_worker_reads(self, data: st.DataObject) -> None:
        self.read(data.draw(st.sampled_from([w for w in self.workers.values() if w.news])))

    def read(self, worker: Worker) -> None:
        news = worker.news.popleft()
        if isinstance(news, Moved):
            if worker.cache.hear(news):
                worker.attached.pop(news.device_id, None)
            return
        if isinstance(news, Granted):
            worker.cache.hear(news)
        for (device, connection), arrival in list(worker.waiting.items()):
            if (device, arrival) == (news.device_id, news.arrival):
                del worker.waiting[device, connection]
                if isinstance(news, Granted):
                    self.attach(worker, device, connection)

    def attach(self, worker: Worker, device: str, connection: int) -> None:
        """The first call of a device brings it in the mode of the grant, which is the right one."""
        owner = self.owners[device]
        mode = worker.cache.mode(device)
        here = worker.attached.setdefault(device, Attached(mode))
        here.connections.add(connection)
        if (owner.worker, owner.tenure) == (worker.number, worker.tenure(device)):
            assert here.mode == owner.mode

    @rule(number=st.sampled_from(WORKERS))
    def a_worker_dies(self, number: int) -> None:
        """And another one comes, which knows nothing. What was written is in the pipe."""
        self.workers[number] = Worker(number)
        self.lives[number] += 1
        self.pipe.append(Ready(number))
        self.calls = [call for call in self.calls if call.worker != number]

    # What must be true

    @rule()
    def all_arrives(self) -> None:
        while self.pipe or any(worker.news for worker in self.workers.values()):
            while self.pipe:
                self.the_registry_reads()
            for worker in self.workers.values():
                while worker.news:
                    self.read(worker)
        for device in DEVICES:
            self.check_settled(device)

    def check_settled(self, device: str) -> None:
        owner = self.owners[device]
        here = {
            worker.number: worker.attached[device].mode
            for worker in self.workers.values()
            if device in worker.attached
        }
        assert here in ({}, {owner.worker: owner.mode})
        assert self.store.get(device) == owner.mode

    def teardown(self) -> None:
        self.all_arrives()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
