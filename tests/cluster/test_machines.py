"""A machine of workers as one node: when it asks the larger cluster, and what its workers hear."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from engine import EngineProcess
from members import Member, Road, member, open_road, until
from nodes import Clock, Node
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from audio_server.cluster.interface import Claimed, Listener
from audio_server.cluster.machine import MachineHub
from audio_server.cluster.ownership import Ownership
from audio_server.cluster.served import ServedNode
from audio_server.cluster.socket import SocketCluster
from audio_server.device.attachment import Superseded


class Wider:
    """A larger cluster that answers when the test says so."""

    is_durable = True

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.claims = 0
        self.kept = trio.Event()
        self._answers, self._given = trio.open_memory_channel[Claimed | None](10)

    @asynccontextmanager
    async def joined(self, listener: Listener) -> AsyncIterator[None]:
        self.listener = listener
        yield

    async def claim(self, device_id: str, waited_s: float) -> Claimed:
        self.claims += 1
        if (claimed := await self._given.receive()) is None:
            raise Superseded(Superseded.ELSEWHERE)
        return claimed

    def grant(self, epoch: int, mode: int = 0) -> None:
        """Answer the claim that has waited for longest; refuse it with epoch 0."""
        self._answers.send_nowait(Claimed(epoch, mode) if epoch else None)

    def renew(self, device_id: str, waited_s: float) -> None:
        self.said.append(("renewed", device_id))

    def release(self, device_id: str) -> None:
        self.said.append(("released", device_id))

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        self.said.append(("mode", device_id, epoch, mode))

    async def wait_durable(self, device_id: str) -> None:
        await self.kept.wait()


class Machine:
    """A hub, and workers at the other ends of streams."""

    def __init__(self, wider: Any, nursery: trio.Nursery, clock: Clock | None = None) -> None:
        self.hub = MachineHub(wider, clock_ns=clock) if clock else MachineHub(wider)
        self.served: list[ServedNode] = []
        self._nursery = nursery
        self._clock = clock
        self._count = 0

    async def start(self) -> Worker:
        """One more worker."""
        self._count += 1
        name, (near, far) = f"worker {self._count}", memory_stream_pair()
        cluster = SocketCluster(far, clock_ns=self._clock) if self._clock else SocketCluster(far)
        worker = Worker(name, cluster)
        self.served.append(ServedNode(self.hub, name, near))
        self._nursery.start_soon(self.served[-1].run)
        await self._nursery.start(worker.live)
        await wait_all_tasks_blocked()
        return worker


class Worker(Node):
    """A worker, and its devices as they are for its ownership."""

    def __init__(self, name: str, cluster: Any) -> None:
        super().__init__(name, cluster)
        self.reclaims: list[tuple[str, int, int]] = []

    async def live(self, *, task_status: trio.TaskStatus[None]) -> None:
        reclaimed = self.reclaims.append
        listener = Listener(self.moved, reclaimed=lambda *facts: reclaimed(facts))
        with self.life:
            async with self.cluster.joined(listener):
                task_status.started()
                await trio.sleep_forever()
        self.ended.set()

    async def kill(self) -> None:
        self.life.cancel()
        await self.ended.wait()
        await wait_all_tasks_blocked()


@pytest.fixture
def wider() -> Wider:
    return Wider()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def machine(wider: Wider, clock: Clock, nursery: trio.Nursery) -> AsyncIterator[Machine]:
    machine = Machine(wider, nursery, clock)
    async with machine.hub.joined():
        yield machine
        nursery.cancel_scope.cancel()


async def test_between_workers_a_device_moves_without_a_question(
    machine: Machine, wider: Wider, clock: Clock
) -> None:
    one, two = await machine.start(), await machine.start()
    wider.grant(7, 3)
    first = await one.cluster.claim("x", 0)
    clock.pass_s(1)
    second = await two.cluster.claim("x", 0)
    assert (first.mode, second.mode, wider.claims) == (3, 3, 1)
    assert second.epoch > first.epoch
    await wait_all_tasks_blocked()
    assert one.moves == [("x", second.epoch)]
    assert wider.said == [("renewed", "x")]  # the newest call, for other machines
    two.cluster.put_mode("x", second.epoch, 4)
    one.cluster.put_mode("x", first.epoch, 1)
    await wait_all_tasks_blocked()
    assert wider.said[1:] == [("mode", "x", 7, 4)]


async def test_claims_of_several_workers_are_one_claim_of_the_machine(
    machine: Machine, wider: Wider, nursery: trio.Nursery
) -> None:
    workers = [await machine.start() for _ in range(3)]
    for worker in workers:
        nursery.start_soon(worker.cluster.claim, "x", 0)
        await wait_all_tasks_blocked()
    assert wider.claims == 1
    wider.grant(7)
    await wait_all_tasks_blocked()
    assert wider.claims == 1
    assert machine.hub.owner("x") == "worker 3"


async def test_an_older_call_at_another_worker_is_refused(
    machine: Machine, wider: Wider, clock: Clock
) -> None:
    """Whether the device is there, or has left; and neither asks."""
    one, two = await machine.start(), await machine.start()
    wider.grant(7)
    clock.pass_s(5)
    await one.cluster.claim("x", 0)
    for _ in range(2):
        with pytest.raises(Superseded):
            await two.cluster.claim("x", 1)
        one.cluster.release("x")
        await wait_all_tasks_blocked()
    assert wider.claims == 1
    assert wider.said == [("released", "x")]


async def test_a_refusal_reaches_the_worker(machine: Machine, wider: Wider) -> None:
    one = await machine.start()
    wider.grant(0)
    with pytest.raises(Superseded):
        await one.cluster.claim("x", 0)
    assert not machine.hub.held
    assert not machine.hub._ownership._held


@pytest.mark.parametrize("is_granted", [False, True])
async def test_a_device_that_leaves_while_it_is_claimed_is_released(
    machine: Machine, wider: Wider, nursery: trio.Nursery, is_granted: bool
) -> None:
    """Also if the answer comes in the same instant."""
    one = await machine.start()
    with trio.CancelScope() as call:
        nursery.start_soon(_cancel_soon, call)
        await one.cluster.claim("x", 0)
    if is_granted:
        wider.grant(7)
        machine.served[0]._on_release("x")
    else:
        one.cluster.release("x")
    await wait_all_tasks_blocked()
    assert not machine.hub.held
    assert not machine.hub._ownership._held
    assert wider.said == [("released", "x")]
    wider.grant(8, 2)
    assert (await one.cluster.claim("x", 0)).mode == 2


async def _cancel_soon(call: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    call.cancel()


async def test_a_device_that_another_machine_has_ends_at_its_worker(
    machine: Machine, wider: Wider
) -> None:
    one, two = await machine.start(), await machine.start()
    wider.grant(7, 1)
    first = await one.cluster.claim("x", 0)
    wider.listener.moved("x", 9)
    await wait_all_tasks_blocked()
    ((device_id, epoch),) = one.moves
    assert (device_id, epoch > first.epoch, two.moves) == ("x", True, [])
    one.cluster.put_mode("x", first.epoch, 4)
    await wait_all_tasks_blocked()
    assert wider.said == []
    assert machine.hub.owner("x") == ""
    wider.grant(11, 2)
    again = await one.cluster.claim("x", 0)
    assert (again.mode, again.epoch > epoch) == (2, True)


async def test_a_worker_that_dies_releases_its_devices(machine: Machine, wider: Wider) -> None:
    one, two = await machine.start(), await machine.start()
    for number, worker in enumerate((one, one, two)):
        wider.grant(7 + number, 3)
        await worker.cluster.claim(f"device-{number}", 0)
    await one.kill()
    assert sorted(wider.said) == [("released", "device-0"), ("released", "device-1")]
    assert list(machine.hub.held) == ["device-2"]
    wider.grant(20, 3)
    assert (await two.cluster.claim("device-0", 0)).mode == 3


async def test_a_device_that_is_reclaimed_shows_the_mode_of_the_cluster(
    machine: Machine, wider: Wider
) -> None:
    one = await machine.start()
    wider.grant(7)
    claimed = await one.cluster.claim("x", 0)
    wider.listener.reclaimed("x", 9, 3)
    await wait_all_tasks_blocked()
    assert one.reclaims == [("x", claimed.epoch, 3)]
    one.cluster.put_mode("x", claimed.epoch, 4)
    wider.listener.reclaimed("x", 11, 2)
    await wait_all_tasks_blocked()
    assert one.reclaims == [("x", claimed.epoch, 3)]  # a newer press is on its way
    assert wider.said == [("mode", "x", 11, 4)]


async def test_a_mode_that_is_recalled_with_the_answer_counts() -> None:
    """The worker reads both before the call goes on."""
    answered = trio.Event()

    class Late:
        is_durable = False

        async def claim(self, device_id: str, waited_s: float) -> Claimed:
            await answered.wait()
            return Claimed(7, 0)

    late: Any = Late()
    ownership = Ownership(late, waited=lambda _: 0.0)
    here: Any = _NoDevices()
    ownership.devices = here
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ownership.claim, "x", 1, None)
        await wait_all_tasks_blocked()
        answered.set()
        ownership.reclaimed("x", 7, 3)
    assert ownership.get("x") == 3
    assert not ownership._recalled


class _NoDevices:
    def is_attached(self, device_id: str, connection: int) -> bool:
        return False


async def test_a_press_is_kept_when_the_larger_cluster_has_it(
    machine: Machine, wider: Wider, nursery: trio.Nursery
) -> None:
    one = await machine.start()
    wider.grant(7)
    claimed = await one.cluster.claim("x", 0)
    one.cluster.put_mode("x", claimed.epoch, 1)
    done = trio.Event()

    async def wait() -> None:
        await one.cluster.wait_durable("x")
        done.set()

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    assert not done.is_set()
    wider.kept.set()
    await wait_all_tasks_blocked()
    assert done.is_set()


# -- with an engine


@asynccontextmanager
async def far_machine(
    engine: EngineProcess, nursery: trio.Nursery
) -> AsyncIterator[tuple[Road, Member, Machine]]:
    """A machine with a road to the engine."""
    async with open_road(engine.port) as road:
        node = Member(f"redis://127.0.0.1:{road.port}")
        machine = Machine(node.cluster, nursery)
        async with machine.hub.joined():
            await node.wait_up()
            yield road, node, machine


async def test_a_device_that_was_elsewhere_for_a_moment_stays_with_its_newest_call(
    engine: EngineProcess, nursery: trio.Nursery
) -> None:
    """Its machine had not heard yet that it had left, and let it in at another worker."""
    async with (
        far_machine(engine, nursery) as (road, node, machine),
        member(engine.url) as other,
    ):
        one, two = await machine.start(), await machine.start()
        first = await one.cluster.claim("x", 0)
        road.hush()
        elsewhere = await other.cluster.claim("x", 0)
        await other.put("x", elsewhere.epoch, 3)
        await trio.sleep(0.05)
        back = await two.cluster.claim("x", 0)
        road.heal()
        await other.wait_moved()
        await until(lambda: bool(two.reclaims))
        assert two.reclaims == [("x", back.epoch, 3)]
        assert (one.moves, two.moves) == ([("x", back.epoch)], [])
        assert back.epoch > first.epoch
        two.cluster.put_mode("x", back.epoch, 4)
        await two.cluster.wait_durable("x")
        assert engine.ask("HGET", "as:d:x", "m") == "4"
        assert engine.ask("HGET", "as:d:x", "n") == node.cluster.node


async def test_while_the_engine_is_away_workers_go_on(
    engine: EngineProcess, nursery: trio.Nursery
) -> None:
    """A device that moves between them is known at once; the newest call is told afterwards."""
    async with (
        far_machine(engine, nursery) as (road, node, machine),
        member(engine.url) as other,
    ):
        one, two = await machine.start(), await machine.start()
        first = await one.cluster.claim("x", 0)
        road.cut()
        await node.wait_up(False)
        elsewhere = await other.cluster.claim("x", 0)
        await trio.sleep(0.05)
        began = trio.current_time()
        back = await two.cluster.claim("x", 0)
        two.cluster.put_mode("x", back.epoch, 2)
        new = await one.cluster.claim("new", 0)
        assert trio.current_time() - began < 10
        assert (new.mode, back.epoch > first.epoch) == (0, True)
        road.heal()
        await node.wait_up()
        await node.wait_settled()
        await other.wait_moved()
        ((device_id, epoch),) = other.moves
        assert (device_id, epoch > elsewhere.epoch) == ("x", True)
        assert [engine.ask("HGET", "as:d:x", field) for field in "nm"] == [node.cluster.node, "2"]
        assert two.moves == []


async def test_a_device_that_has_left_a_cut_machine_ends_there_when_it_heals(
    engine: EngineProcess, nursery: trio.Nursery
) -> None:
    async with (
        far_machine(engine, nursery) as (road, node, machine),
        member(engine.url) as other,
    ):
        one = await machine.start()
        first = await one.cluster.claim("x", 0)
        road.cut()
        await node.wait_up(False)
        await other.cluster.claim("x", 0)
        one.cluster.put_mode("x", first.epoch, 4)
        road.heal()
        await one_moved(one)
        assert engine.ask("HGET", "as:d:x", "m") is None


async def one_moved(worker: Worker) -> None:
    await until(lambda: bool(worker.moves))
