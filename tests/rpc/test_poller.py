"""Many sockets heard by one task: in turns, each with its own end, nobody's fault another's."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.rpc.io.epoll import Poller, is_possible
from audio_server.rpc.io.fair_queue import CALLER, WIDTH, ReadScheduler
from audio_server.rpc.io.reader import Reader

pytestmark = pytest.mark.skipif(not is_possible(), reason="needs epoll")


class Turns(trio.abc.Instrument):
    """Counts the turns of the loop, and the steps of each task by its name."""

    def __init__(self) -> None:
        self.count = 0
        self.steps = Counter[str]()

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.steps[task.name] += 1


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection, which can be reset."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        peer = socket.create_connection(door.getsockname())
        return door.accept()[0], peer


class Line:
    """A socket that is heard, and its other end."""

    def __init__(self, poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
        ours, self.peer = pair
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        self.source = Reader(self.stream, poller=poller)
        self.taken: list[bytes] = []
        self.ended: list[bool | Exception] = []

    def take(self, data: bytes) -> bool:
        self.taken.append(data)
        return not data.startswith(b"more")

    async def read(self, take: Callable[[bytes], bool] | None = None) -> None:
        try:
            self.ended.append(await self.source.read(take or self.take))
        except Exception as error:
            self.ended.append(error)


@asynccontextmanager
async def polling(
    lines: int, pair: Callable[[], tuple[socket.socket, socket.socket]] = socket.socketpair
) -> AsyncIterator[tuple[trio.Nursery, list[Line]]]:
    """A poller at work, and sockets that nobody waits for yet; their first bytes were read."""
    with closing(Poller(ReadScheduler())) as poller:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            made = [Line(poller, pair()) for _ in range(lines)]
            for line in made:
                line.peer.send(b"first")
                assert await line.source.read(lambda data: False)
            yield nursery, made
            nursery.cancel_scope.cancel()
        assert not poller._on_readable
        for line in made:
            line.peer.close()
            await line.stream.aclose()


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    instrument = Turns()
    trio.lowlevel.add_instrument(instrument)
    yield instrument
    trio.lowlevel.remove_instrument(instrument)


async def test_what_is_said_is_heard_without_waking_who_waits(turns: Turns) -> None:
    async with polling(2) as (nursery, lines):
        for line in lines:
            nursery.start_soon(line.read, name="waits")
        await wait_all_tasks_blocked()
        begun = turns.steps["waits"]
        for said in (b"one", b"two", b"three"):
            for line in lines:
                line.peer.send(said)
            await wait_all_tasks_blocked()
        assert [line.taken for line in lines] == 2 * [[b"one", b"two", b"three"]]
        assert turns.steps["waits"] == begun


async def test_a_crowd_is_heard_in_turns(turns: Turns) -> None:
    heard = Counter[int]()

    def take(data: bytes) -> bool:
        heard[turns.count] += 1
        return True

    async with polling(2 * WIDTH + 1) as (nursery, lines):
        for line in lines:
            nursery.start_soon(line.read, take)
        await wait_all_tasks_blocked()
        for line in lines:
            line.peer.send(b"x")
        await wait_all_tasks_blocked()
    assert [heard[turn] for turn in sorted(heard)] == [WIDTH, WIDTH, 1]


async def test_bytes_that_open_calls_count_for_more(turns: Turns) -> None:
    heard = Counter[int]()
    async with polling(4) as (nursery, lines):
        poller = lines[0].source._poller
        assert poller is not None

        def take(data: bytes) -> bool:
            heard[turns.count] += 1
            poller._scheduler.count(3 * CALLER)  # as a device's three calls
            return True

        for line in lines:
            nursery.start_soon(line.read, take)
        await wait_all_tasks_blocked()
        for line in lines:
            line.peer.send(b"x")
        await wait_all_tasks_blocked()
    assert [heard[turn] for turn in sorted(heard)] == [1, 1, 1, 1]


async def test_the_first_bytes_are_read_in_a_turn_of_the_connections_own() -> None:
    """A connection that never speaks is not the poller's."""
    with closing(Poller(ReadScheduler())) as poller:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.run)
            line = Line(poller, socket.socketpair())
            nursery.start_soon(line.read)
            await wait_all_tasks_blocked()
            assert not poller._on_readable
            line.peer.send(b"first")
            await wait_all_tasks_blocked()
            assert line.taken == [b"first"]
            assert len(poller._on_readable) == 1
            nursery.cancel_scope.cancel()
        line.peer.close()
        await line.stream.aclose()


async def test_first_bytes_that_are_there_take_no_turn(turns: Turns) -> None:
    ours, theirs = socket.socketpair()
    theirs.send(b"first")
    source, before = Reader(trio.SocketStream(trio.socket.from_stdlib_socket(ours))), turns.count
    assert await source.read(lambda data: False)
    assert turns.count == before
    theirs.close()
    ours.close()


async def test_nobody_is_heard_twice_before_all_others_were() -> None:
    order: list[int] = []
    async with polling(WIDTH + 3) as (nursery, lines):
        for number, line in enumerate(lines):

            def take(data: bytes, number: int = number) -> bool:
                order.append(number)
                if len(order) <= 3 * len(lines):  # they never stop talking
                    lines[number].peer.send(b"x")
                return True

            nursery.start_soon(line.read, take)
        await wait_all_tasks_blocked()
        for line in lines:
            line.peer.send(b"x")
        await wait_all_tasks_blocked()
    counts = Counter(order[: 2 * len(lines)])
    assert set(counts.values()) == {2}


async def test_what_takes_longer_is_left_to_who_waits() -> None:
    async with polling(1) as (nursery, [line]):
        nursery.start_soon(line.read)
        await wait_all_tasks_blocked()
        line.peer.send(b"more than a turn")
        await wait_all_tasks_blocked()
        assert line.ended == [True]
        line.peer.send(b"is not heard before the next read")
        await wait_all_tasks_blocked()
        assert len(line.taken) == 1
        nursery.start_soon(line.read)
        await wait_all_tasks_blocked()
        assert line.taken[1:] == [b"is not heard before the next read"]


async def test_a_peer_that_closes_ends_the_read() -> None:
    async with polling(2) as (nursery, [line, other]):
        nursery.start_soon(line.read)
        nursery.start_soon(other.read)
        await wait_all_tasks_blocked()
        line.peer.close()
        await wait_all_tasks_blocked()
        assert line.ended == [False]
        assert not other.ended


async def test_a_lost_peer_is_the_error_of_its_own_read() -> None:
    async with polling(1, tcp_pair) as (nursery, [line]):
        nursery.start_soon(line.read)
        await wait_all_tasks_blocked()
        line.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.peer.close()  # with a reset
        await wait_all_tasks_blocked()
        assert isinstance(line.ended[0], ConnectionResetError)


async def test_a_fault_is_raised_where_it_belongs() -> None:
    def fail(data: bytes) -> bool:
        raise ValueError(data)

    async with polling(2) as (nursery, [line, other]):
        nursery.start_soon(line.read, fail)
        nursery.start_soon(other.read)
        await wait_all_tasks_blocked()
        line.peer.send(b"bad")
        other.peer.send(b"good")
        await wait_all_tasks_blocked()
        assert isinstance(line.ended[0], ValueError)
        assert other.taken == [b"good"]
        assert not other.ended


async def test_a_cancelled_read_has_lost_nothing() -> None:
    async with polling(1) as (nursery, [line]):
        with trio.CancelScope() as scope:
            scope.cancel()
            await line.read()
        line.peer.send(b"still there")
        await wait_all_tasks_blocked()
        assert not line.taken
        nursery.start_soon(line.read)
        await wait_all_tasks_blocked()
        assert line.taken == [b"still there"]


async def test_who_was_ended_by_another_in_the_same_turn_is_not_heard() -> None:
    async with polling(2) as (nursery, lines):
        scopes = [trio.CancelScope(), trio.CancelScope()]

        async def read(index: int) -> None:
            def end_other(data: bytes) -> bool:
                scopes[1 - index].cancel()
                return lines[index].take(data)

            with scopes[index]:
                await lines[index].read(end_other)

        nursery.start_soon(read, 0)
        nursery.start_soon(read, 1)
        await wait_all_tasks_blocked()
        for line in lines:
            line.peer.send(b"x")
        await wait_all_tasks_blocked()
        assert sorted(line.taken for line in lines) == [[], [b"x"]]
        assert sum(scope.cancelled_caught for scope in scopes) == 1


@pytest.mark.parametrize("fault", [None, ValueError("in the midst")])
async def test_who_is_cancelled_by_what_it_takes_is_woken_once(fault: Exception | None) -> None:
    async with polling(2) as (nursery, [line, other]):
        scope = trio.CancelScope()

        def end_itself(data: bytes) -> bool:
            scope.cancel()
            if fault is not None:
                raise fault
            return False

        async def read() -> None:
            with scope:
                await line.read(end_itself)

        nursery.start_soon(read)
        nursery.start_soon(other.read)
        await wait_all_tasks_blocked()
        line.peer.send(b"x")
        other.peer.send(b"y")
        await wait_all_tasks_blocked()
        assert scope.cancelled_caught
        assert other.taken == [b"y"]
        other.peer.send(b"z")
        await wait_all_tasks_blocked()
        assert other.taken == [b"y", b"z"]


async def test_a_fault_of_ours_makes_nobody_else_deaf(logs: list[dict[str, object]]) -> None:
    def fail() -> None:
        raise RuntimeError("our own")

    async with polling(2) as (nursery, [line, other]):
        nursery.start_soon(other.read)
        poller = other.source._poller
        assert poller is not None
        poller.add(line.stream.socket.fileno(), fail)
        await wait_all_tasks_blocked()
        line.peer.send(b"x")
        await wait_all_tasks_blocked()
        other.peer.send(b"y")
        await wait_all_tasks_blocked()
        assert other.taken == [b"y"]
    assert [each["event"] for each in logs] == ["a socket could not be heard"]
    logs.clear()
