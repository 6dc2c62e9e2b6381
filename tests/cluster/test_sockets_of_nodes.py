"""Frames between a node's process and the hub: whole, in order, and nothing waits for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
import structlog.testing
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from audio_server.cluster.frames import ROOM_BYTES, FrameLink, FrameReader, frame
from audio_server.cluster.interface import Listener, NoAnswer, TooLate
from audio_server.cluster.local import Hub
from audio_server.cluster.served import ASKED_MAX_BYTES, ServedNode
from audio_server.cluster.socket import KEPT_S, SocketCluster
from audio_server.device.mode_store import MemoryModeStore

LARGE = "x" * ASKED_MAX_BYTES


def test_frames_come_in_pieces() -> None:
    reader, told = FrameReader(), []
    for byte in frame("one", 1) + frame("two", b"\x00", [None]) + frame():
        told += list(reader.feed(bytes([byte])))
    assert told == [["one", 1], ["two", b"\x00", [None]], []]
    assert list(reader.feed(frame(1) + frame(2) + b"\x09")) == [[1], [2]]


class Ends(NamedTuple):
    """A node, and the life of the supervisor."""

    cluster: SocketCluster
    supervisor: trio.CancelScope


class HeldStore(MemoryModeStore):
    """Keeps modes when the test says so."""

    is_durable = True

    def __init__(self) -> None:
        super().__init__()
        self.go_on = trio.Event()

    async def wait_durable(self, device_id: str) -> None:
        await self.go_on.wait()


@pytest.fixture
def store() -> HeldStore:
    return HeldStore()


@pytest.fixture
async def ends(store: HeldStore, nursery: trio.Nursery) -> AsyncIterator[Ends]:
    near, far = memory_stream_pair()
    served, cluster = ServedNode(Hub(store), "node", near), SocketCluster(far)
    supervisor = trio.CancelScope()

    async def serve() -> None:
        with supervisor:
            await served.run()

    async with cluster.joined(Listener()):
        nursery.start_soon(serve)
        await wait_all_tasks_blocked()
        yield Ends(cluster, supervisor)


async def test_presses_go_on_from_memory_while_nothing_is_confirmed(
    ends: Ends, store: HeldStore, autojump_clock: MockClock
) -> None:
    claimed = await ends.cluster.claim("x", 0)
    with structlog.testing.capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            for device_id in ("x", "x", "never put"):
                ends.cluster.put_mode("x", claimed.epoch, 1)
                nursery.start_soon(ends.cluster.wait_durable, device_id)
        assert trio.current_time() == pytest.approx(KEPT_S)
        ends.cluster.put_mode("x", claimed.epoch, 2)
        await ends.cluster.wait_durable("x")
        assert trio.current_time() == pytest.approx(KEPT_S)
        store.go_on.set()
        await wait_all_tasks_blocked()
        store.go_on = trio.Event()
        await ends.cluster.wait_durable("x")
        ends.cluster.put_mode("x", claimed.epoch, 3)
        await ends.cluster.wait_durable("x")
        assert trio.current_time() == pytest.approx(2 * KEPT_S)
    assert [line["event"] for line in logs] == ["modes are acknowledged from memory"] * 2


async def test_the_mode_of_another_device_is_not_waited_for(
    ends: Ends, autojump_clock: MockClock
) -> None:
    claimed = await ends.cluster.claim("x", 0)
    ends.cluster.put_mode("x", claimed.epoch, 1)
    await ends.cluster.wait_durable("y")
    assert trio.current_time() == 0


async def test_a_call_whose_supervisor_is_gone_waits_for_its_own_end(
    ends: Ends, autojump_clock: MockClock
) -> None:
    ends.supervisor.cancel()
    await ends.cluster.is_over.wait()
    with trio.move_on_after(60) as patience:
        await ends.cluster.claim("x", 0)
    assert patience.cancelled_caught


async def test_no_press_is_acknowledged_after_the_end_of_the_supervisor(
    ends: Ends, autojump_clock: MockClock
) -> None:
    claimed = await ends.cluster.claim("x", 0)
    ends.cluster.put_mode("x", claimed.epoch, 1)
    ends.supervisor.cancel()
    with trio.move_on_after(60) as patience:
        await ends.cluster.wait_durable("x")
    assert patience.cancelled_caught


async def test_a_node_that_does_not_read_is_found_out() -> None:
    served = ServedNode(Hub(), "node", memory_stream_pair()[0], max_bytes=100_000)
    with trio.move_on_after(0) as patience:
        await served.wait_full()
    assert patience.cancelled_caught
    for _ in range(200):
        served.tell("x" * 1000)  # nothing is carried
    await served.wait_full()


async def test_there_is_a_bound_to_how_much_is_asked(autojump_clock: MockClock) -> None:
    hub = Hub()
    served = ServedNode(hub, "node", memory_stream_pair()[0])
    hub.join("node", Listener(asked=served._ask))  # nothing is carried
    with pytest.raises(TooLate):
        await hub.ask("node", "play", 1.0, device_ids=[LARGE])
    with pytest.raises(NoAnswer) as raised:
        await hub.ask("node", "ping", 1.0)
    assert raised.type is NoAnswer


async def test_a_long_answer_waits_for_its_reader(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    near.send_stream.send_all_hook = None  # it is not carried yet
    link, taken = FrameLink(near), 0

    async def answer() -> None:
        nonlocal taken
        for _ in range(100):
            link.send("part", 1, "x" * (ROOM_BYTES // 10))
            await link.wait_room()
            taken += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer)
        await wait_all_tasks_blocked()
        assert taken < 20
        nursery.start_soon(link.run, lambda *_: None)
        await wait_all_tasks_blocked()
        assert taken == 100
        await far.aclose()
        nursery.cancel_scope.cancel()
