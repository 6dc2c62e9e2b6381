"""The rate at which connections are accepted; the others wait in the kernel's queue."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing
from serving import echo, service
from trio.testing import MockClock

from audio_server.rpc.io.accept import Acceptor, ArrivalPace
from audio_server.rpc.limits import Limits
from audio_server.rpc.server import Server


class Queue(trio.abc.Listener[Any]):
    """Connections that wait to be accepted."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting = waiting
        self.accepted_s: list[float] = []
        self.is_closed = False
        self._grown = trio.Event()

    def add(self, waiting: int) -> None:
        self.waiting += waiting
        self._grown.set()
        self._grown = trio.Event()

    async def accept(self) -> Any:
        await trio.lowlevel.checkpoint()
        while not self.waiting:
            await self._grown.wait()
        self.waiting -= 1
        self.accepted_s.append(trio.current_time())
        return trio.testing.memory_stream_pair()[0]

    async def aclose(self) -> None:
        self.is_closed = True
        await trio.lowlevel.checkpoint()


async def accepting(nursery: trio.Nursery, *queues: Queue, rate: tuple[int, float]) -> None:
    pace = ArrivalPace(rate)

    async def serve(stream: trio.abc.Stream) -> None:
        pace.let_in()

    acceptor = Acceptor(serve, lambda: False, pace)
    for queue in queues:
        nursery.start_soon(acceptor.run, queue, nursery)


async def test_a_burst_comes_at_once_and_the_rest_at_the_rate(autojump_clock: MockClock) -> None:
    queue = Queue(1050)
    async with trio.open_nursery() as nursery:
        await accepting(nursery, queue, rate=(50, 500))
        await trio.sleep(10)
        queue.add(100)
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    times = queue.accepted_s
    assert len(times) == 1150
    assert times[49] == times[0]
    assert times[1049] == pytest.approx(2.0, abs=0.01)
    assert times[549] == pytest.approx(1.0, abs=0.01)
    # The burst is there again.
    assert times[1099] == 10.0
    assert times[1149] == pytest.approx(10.1, abs=0.01)


async def test_all_addresses_share_the_rate(autojump_clock: MockClock) -> None:
    queues = Queue(150), Queue(150)
    async with trio.open_nursery() as nursery:
        await accepting(nursery, *queues, rate=(100, 100))
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    times = sorted(queues[0].accepted_s + queues[1].accepted_s)
    assert len(times) == 300
    assert times[-1] == pytest.approx(2.0, abs=0.05)
    assert queues[0].accepted_s[-1] == pytest.approx(2.0, abs=0.1)


async def test_a_flood_that_is_turned_away_keeps_nobody_waiting(
    autojump_clock: MockClock,
) -> None:
    """Of one address past its limits: devices come in behind it at once."""
    queue = Queue(500)
    server = Server(service(echo), limits=Limits(max_unauthenticated=2, arrivals=(3, 0.001)))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, [queue])
        await trio.testing.wait_all_tasks_blocked()
        assert queue.waiting == 0
        assert server.refused.total() == 498  # type: ignore[attr-defined]
        assert trio.current_time() == 0
        nursery.cancel_scope.cancel()


async def test_a_server_that_stops_accepting_waits_for_no_turn(autojump_clock: MockClock) -> None:
    queue = Queue(100)
    server = Server(service(echo), limits=Limits(arrivals=(1, 0.001)))
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run, [queue])
        await trio.sleep(5)
        assert queue.waiting >= 95
        server.stop_accepting()
        await trio.testing.wait_all_tasks_blocked()
        assert queue.is_closed
        nursery.cancel_scope.cancel()
    assert trio.current_time() == 5
