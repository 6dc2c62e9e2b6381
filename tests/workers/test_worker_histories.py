"""Any interleaving of what travels between workers and registry: the mode is the device's own.

There is no clock and no task here, only queues: the pipe that all workers write into, and one way
back to each. Hypothesis chooses which of them moves, and what devices do meanwhile. The pipe
decides who came first, so a press counts if it was handled before a newer connection was claimed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from audio_server.device.mode_store import MemoryModeStore
from audio_server.workers.cache import OwnershipCache
from audio_server.workers.directory import Directory
from audio_server.workers.messages import Changed, Claim, Granted, Moved, Up

WORKERS = (1, 2, 3)
DEVICES = ("one", "two")
MODES = 5


@dataclass
class Worker:
    """A worker as `Claims` and `Devices` make it, without their tasks."""

    number: int
    news: deque[Granted | Moved] = field(default_factory=deque)
    attached: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Connection and mode of each device that is here."""
    waiting: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """It forgets devices as early as it may."""
        self.replica = OwnershipCache(self.number, lambda id: id in self.attached, known_max=1)


class Histories(RuleBasedStateMachine):
    """Devices that come and go between three workers."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryModeStore()
        self.registry = Directory(len(WORKERS), store=self.store)
        self.pipe: deque[Up] = deque()
        self.workers = {number: Worker(number) for number in WORKERS}
        self.calls: list[tuple[int, str, int]] = []  # worker, device, connection; not claimed yet
        self.connections = 0
        self.claimed = dict.fromkeys(DEVICES, 0)  # by the order of the pipe
        self.mode = dict.fromkeys(DEVICES, 0)  # what a device has a right to

    # What devices do

    @rule(device=st.sampled_from(DEVICES), worker=st.sampled_from(WORKERS))
    def connect(self, device: str, worker: int) -> None:
        self.connections += 1
        self.calls.append((worker, device, self.connections))

    @rule(data=st.data())
    @precondition(lambda self: self.calls)
    def a_call_is_read(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        if data.draw(st.booleans()):
            self.calls.remove(call)  # else the connection opens another one later
        self.claim(*call)

    def claim(self, number: int, device: str, connection: int) -> None:
        worker = self.workers[number]
        newest = worker.replica.newest(device)
        if newest == connection:
            self.attach(worker, device, connection)
        elif newest < connection and (device, connection) not in worker.waiting:
            worker.waiting.add((device, connection))
            self.pipe.append(Claim(number, device, connection))
            self.claimed[device] = max(self.claimed[device], connection)

    def attach(self, worker: Worker, device: str, connection: int) -> None:
        here, _ = worker.attached.get(device, (0, 0))
        assert here <= connection
        if here == connection:
            return
        mode = worker.replica.mode(device)
        if connection == self.claimed[device]:
            assert mode == self.mode[device]
        worker.attached[device] = (connection, mode)

    @rule(data=st.data(), home=st.booleans())
    @precondition(lambda self: any(worker.attached for worker in self.workers.values()))
    def press(self, data: st.DataObject, home: bool) -> None:
        worker, device = self.draw_attached(data)
        connection, mode = worker.attached[device]
        mode = 0 if home else (mode + 1) % MODES
        worker.attached[device] = (connection, mode)
        self.pipe.append(worker.replica.change(device, mode))
        if connection == self.claimed[device]:
            self.mode[device] = mode

    @rule(data=st.data())
    @precondition(lambda self: any(worker.attached for worker in self.workers.values()))
    def drop(self, data: st.DataObject) -> None:
        worker, device = self.draw_attached(data)
        del worker.attached[device]

    def draw_attached(self, data: st.DataObject) -> tuple[Worker, str]:
        return data.draw(
            st.sampled_from([(w, d) for w in self.workers.values() for d in w.attached])
        )

    # What travels

    @rule()
    @precondition(lambda self: self.pipe)
    def the_registry_reads(self) -> None:
        message = self.pipe.popleft()
        if isinstance(message, Claim):
            for worker, news in self.registry.claim(message):
                assert isinstance(news, Granted | Moved)
                self.workers[worker].news.append(news)
        elif isinstance(message, Changed):
            self.registry.change(message)

    @rule(data=st.data())
    @precondition(lambda self: any(worker.news for worker in self.workers.values()))
    def a_worker_reads(self, data: st.DataObject) -> None:
        self.read(data.draw(st.sampled_from([w for w in self.workers.values() if w.news])))

    def read(self, worker: Worker) -> None:
        news = worker.news.popleft()
        here, _ = worker.attached.get(news.device_id, (0, 0))
        if here < news.connection:
            worker.attached.pop(news.device_id, None)
        worker.replica.hear(news)
        for device, connection in sorted(worker.waiting):
            if device == news.device_id and connection <= news.connection:
                worker.waiting.discard((device, connection))
                self.claim(worker.number, device, connection)

    @rule(number=st.sampled_from(WORKERS))
    def a_worker_dies(self, number: int) -> None:
        """And another one comes, which knows nothing. What was written is in the pipe."""
        self.workers[number] = Worker(number)
        self.calls = [call for call in self.calls if call[0] != number]

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
        here = [w.attached[device] for w in self.workers.values() if device in w.attached]
        assert here in ([], [(self.claimed[device], self.mode[device])])
        assert self.store.get(device) == self.mode[device]

    def teardown(self) -> None:
        self.all_arrives()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
