"""What every implementation of the cluster keeps, whatever lies between its nodes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import pytest
import trio
from machine_nodes import open_machine_nodes
from nodes import LocalNodes, Node, open_nodes
from trio.testing import MockClock, wait_all_tasks_blocked
from valkey_nodes import open_valkey_nodes

from audio_server.cluster.interface import NoAnswer, TooLate
from audio_server.cluster.questions import ASKED_MAX
from audio_server.device.attachment import Superseded
from audio_server.device.mode_store import MemoryModeStore


@pytest.fixture(params=["local", "socket"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


ENGINED = {
    "valkey": open_valkey_nodes,
    "workers of a machine": partial(open_machine_nodes, machines=1),
    "workers of machines": partial(open_machine_nodes, machines=2),
}


@pytest.fixture(params=["local", "socket", *ENGINED])
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[LocalNodes]:
    is_alone = request.param not in ENGINED
    opening: AbstractAsyncContextManager[LocalNodes] = (
        open_nodes(request.param)
        if is_alone
        else ENGINED[request.param](request.getfixturevalue("engine"))
    )
    async with opening as nodes:
        yield nodes


@pytest.fixture
async def hub_nodes(kind: str) -> AsyncIterator[LocalNodes]:
    """Those that share a hub, and with it documents and questions."""
    async with open_nodes(kind) as nodes:
        yield nodes


async def put(node: Node, device_id: str, epoch: int, mode: int) -> None:
    node.cluster.put_mode(device_id, epoch, mode)
    await node.cluster.wait_durable(device_id)


async def test_a_device_that_is_new_is_home(nodes: LocalNodes) -> None:
    one = await nodes.start()
    assert (await one.cluster.claim("x", 0)).mode == 0


async def test_a_device_that_moves_has_its_mode_and_the_loser_is_told(nodes: LocalNodes) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 3)
    nodes.clock.pass_s(1)
    second = await two.cluster.claim("x", 0)
    assert second.mode == 3
    assert second.epoch > first.epoch
    await nodes.settle()
    ((device_id, epoch),) = one.moves
    assert device_id == "x"
    assert first.epoch < epoch <= second.epoch
    assert two.moves == []


@pytest.mark.parametrize("waited_s", [0, 1, 5])
async def test_another_call_at_the_same_node_keeps_the_epoch(
    nodes: LocalNodes, waited_s: float
) -> None:
    """On whichever connection, older or newer."""
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 3)
    nodes.clock.pass_s(1)
    assert await one.cluster.claim("x", waited_s) == (first.epoch, 3)
    await put(one, "x", first.epoch, 4)
    nodes.clock.pass_s(1)
    assert (await two.cluster.claim("x", 0)).mode == 4


async def test_an_older_call_at_another_node_is_refused_and_changes_nothing(
    nodes: LocalNodes,
) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    nodes.clock.pass_s(1)
    await one.cluster.claim("x", 0)
    nodes.clock.pass_s(1)
    with pytest.raises(Superseded):
        await two.cluster.claim("x", 1.5)
    await put(one, "x", first.epoch, 2)
    assert await one.cluster.claim("x", 0) == (first.epoch, 2)
    assert one.moves == []
    nodes.clock.pass_s(1)
    assert (await two.cluster.claim("x", 0.5)).mode == 2


async def test_a_device_may_go_back(nodes: LocalNodes) -> None:
    one, two = await nodes.start(), await nodes.start()
    epochs = []
    for node in (one, two, one, two):
        epochs.append((await node.cluster.claim("x", 0)).epoch)
        nodes.clock.pass_s(1)
    assert epochs == sorted(set(epochs))
    await nodes.settle()
    ends = [epoch for node in (one, two) for _, epoch in node.moves]
    begun = (epochs[0], epochs[2], epochs[1])
    assert all(e > b for e, b in zip(ends, begun, strict=True))
    assert all(e <= epochs[i] for e, i in zip(ends, (1, 3, 2), strict=True))


async def test_a_write_of_an_epoch_that_is_over_does_not_count(nodes: LocalNodes) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    nodes.clock.pass_s(1)
    second = await two.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 4)
    await put(two, "x", second.epoch, 1)
    await put(one, "x", first.epoch, 2)
    nodes.clock.pass_s(1)
    await one.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 3)
    nodes.clock.pass_s(1)
    assert (await two.cluster.claim("x", 0)).mode == 1


async def test_a_device_that_has_left_keeps_its_mode_and_its_calls_their_age(
    nodes: LocalNodes,
) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 3)
    one.cluster.release("x")
    await one.cluster.claim("y", 0)
    nodes.clock.pass_s(1)
    with pytest.raises(Superseded):
        await two.cluster.claim("x", 2)
    back = await one.cluster.claim("x", 2)
    assert back.mode == 3
    assert back.epoch > first.epoch
    assert (await two.cluster.claim("x", 0)).epoch > back.epoch


async def test_only_its_own_node_lets_a_device_go(nodes: LocalNodes) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    two.cluster.release("x")
    two.cluster.release("never seen")
    await two.cluster.claim("y", 0)
    assert (await one.cluster.claim("x", 0)).epoch == first.epoch


async def test_a_node_that_dies_leaves_its_devices_in_their_modes(nodes: LocalNodes) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 3)
    nodes.clock.pass_s(1)
    await nodes.kill(one)
    assert (await two.cluster.claim("x", 0)).mode == 3
    again = await nodes.start()
    nodes.clock.pass_s(1)
    assert (await again.cluster.claim("x", 0)).mode == 3
    assert again.moves == []


async def test_a_node_that_is_started_again_begins_an_epoch(nodes: LocalNodes) -> None:
    one = await nodes.start()
    first = await one.cluster.claim("x", 0)
    await nodes.kill(one)
    again = await nodes.start()
    assert (await again.cluster.claim("x", 0)).epoch > first.epoch


async def test_devices_are_apart(nodes: LocalNodes) -> None:
    one, two = await nodes.start(), await nodes.start()
    first = await one.cluster.claim("x", 0)
    await put(one, "x", first.epoch, 3)
    assert (await two.cluster.claim("y", 0)).mode == 0
    assert one.moves == []


class SlowStore(MemoryModeStore):
    """Keeps modes after half a second."""

    is_durable = True

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, int] = {}

    async def wait_durable(self, device_id: str) -> None:
        mode = self.get(device_id)
        await trio.sleep(0.5)
        self.kept[device_id] = mode


async def test_a_mode_is_kept_before_the_wait_is_over(kind: str, autojump_clock: MockClock) -> None:
    store = SlowStore()
    store.put("x", 2)
    async with open_nodes(kind, store) as nodes:
        one = await nodes.start()
        assert one.cluster.is_durable
        claimed = await one.cluster.claim("x", 0)
        assert claimed.mode == 2
        one.cluster.put_mode("x", claimed.epoch, 4)
        one.cluster.put_mode("x", claimed.epoch, 1)
        await one.cluster.wait_durable("x")
        assert store.kept["x"] == 1
        assert trio.current_time() == 0.5


# -- documents


async def test_a_document_that_was_never_put_has_no_version(hub_nodes: LocalNodes) -> None:
    one = await hub_nodes.start()
    assert await one.cluster.document("clips") == (0, b"")
    with pytest.raises(KeyError):
        await one.cluster.blob("abc")


async def test_all_nodes_read_the_newest_version_and_its_blobs(hub_nodes: LocalNodes) -> None:
    one, two = await hub_nodes.start(), await hub_nodes.start()
    large = bytes(range(256)) * 1000
    hub_nodes.hub.put_document("clips", b"old", {"old": b"1", "both": b"2"})
    first = await one.cluster.document("clips")
    hub_nodes.hub.put_document("clips", b"new", {"both": b"2", "large": large, "empty": b""})
    for node in (one, two):
        newest = await node.cluster.document("clips")
        assert newest.data == b"new"
        assert newest.version > first.version
        assert await node.cluster.blob("large") == large
        assert await node.cluster.blob("empty") == b""
        with pytest.raises(KeyError):
            await node.cluster.blob("old")


# -- messages


async def asks(hub_nodes: LocalNodes, node: Node, answers: list[Any], **facts: Any) -> None:
    try:
        answers.append(await hub_nodes.hub.ask(node.name, "sum", 2.0, **facts))
    except NoAnswer as why:
        answers.append(type(why))


async def test_answers_find_their_questions(
    hub_nodes: LocalNodes, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    one, two = await hub_nodes.start(), await hub_nodes.start()
    answers: list[Any] = []
    for node, number in ((one, 1), (two, 2), (one, 3)):
        nursery.start_soon(partial(asks, hub_nodes, node, answers, of=[number, "x"]))
        await wait_all_tasks_blocked()
    for node in (two, one):
        for question in reversed(node.questions):
            assert question.what == "sum"
            question.add(question.facts["of"][0])
            await question.wait_room()
            question.add({"and": None})
            question.end(is_answered=True)
            await wait_all_tasks_blocked()
    assert answers == [[number, {"and": None}] for number in (2, 3, 1)]


async def test_no_answer_in_time_is_too_late_and_what_comes_then_is_dropped(
    hub_nodes: LocalNodes, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    one = await hub_nodes.start()
    answers: list[Any] = []
    await asks(hub_nodes, one, answers)
    assert answers == [TooLate]
    assert trio.current_time() == 2.0
    nursery.start_soon(asks, hub_nodes, one, answers)
    await wait_all_tasks_blocked()
    for question, part in zip(one.questions, ("old", "new"), strict=True):
        question.add(part)
        question.end(is_answered=True)
    await wait_all_tasks_blocked()
    assert answers == [TooLate, ["new"]]


async def test_an_answer_that_comes_bit_by_bit_is_waited_for(
    hub_nodes: LocalNodes, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    one = await hub_nodes.start()
    answers: list[Any] = []
    nursery.start_soon(asks, hub_nodes, one, answers)
    await wait_all_tasks_blocked()
    for number in range(4):
        await trio.sleep(1.5)
        one.questions[0].add(number)
    one.questions[0].end(is_answered=True)
    await wait_all_tasks_blocked()
    assert answers == [[0, 1, 2, 3]]


async def test_an_answer_that_fails_is_none(hub_nodes: LocalNodes, nursery: trio.Nursery) -> None:
    one = await hub_nodes.start()
    answers: list[Any] = []
    nursery.start_soon(asks, hub_nodes, one, answers)
    await wait_all_tasks_blocked()
    one.questions[0].add(1)
    one.questions[0].end(is_answered=False)
    await wait_all_tasks_blocked()
    assert answers == [NoAnswer]


async def test_a_node_that_is_gone_is_not_waited_for(
    hub_nodes: LocalNodes, nursery: trio.Nursery
) -> None:
    one = await hub_nodes.start()
    answers: list[Any] = []
    nursery.start_soon(asks, hub_nodes, one, answers)
    await wait_all_tasks_blocked()
    await hub_nodes.kill(one)
    await wait_all_tasks_blocked()
    await asks(hub_nodes, one, answers)
    assert answers == [NoAnswer, NoAnswer]


async def test_there_is_a_bound_to_the_questions_that_wait(
    hub_nodes: LocalNodes, nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    one = await hub_nodes.start()
    answers: list[Any] = []
    for _ in range(ASKED_MAX):
        nursery.start_soon(asks, hub_nodes, one, answers)
    await wait_all_tasks_blocked()
    await asks(hub_nodes, one, answers)
    assert answers == [NoAnswer]


async def test_a_node_is_given_orders(hub_nodes: LocalNodes) -> None:
    one, two = await hub_nodes.start(), await hub_nodes.start()
    hub_nodes.hub.tell(one.name, "drain")
    hub_nodes.hub.tell("never there", "drain")
    await wait_all_tasks_blocked()
    assert (one.orders, two.orders) == (["drain"], [])
