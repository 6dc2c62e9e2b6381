"""A node's claims: when it asks the cluster, and what it does with the answers."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.assembly import make_devices
from audio_server.clips.clip import Clip
from audio_server.cluster.interface import Claimed
from audio_server.cluster.local import Hub, LocalCluster
from audio_server.cluster.ownership import Ownership
from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Action, Button
from audio_server.device.press_queue import Press
from audio_server.device.registry import Devices
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE

CLIPS = [Clip.from_packets(str(mode), [SILENCE]) for mode in range(5)]
NO_TRANSPORT: Any = None


class Asked:
    """A cluster that answers when the test says so."""

    is_durable = False

    def __init__(self) -> None:
        self.claims: list[str] = []
        self.said: list[Any] = []
        self._answers: list[trio.Event] = []
        self._given: list[Claimed | None] = []

    async def claim(self, device_id: str, waited_s: float) -> Claimed:
        number = len(self.claims)
        self.claims.append(device_id)
        self._answers.append(trio.Event())
        self._given.append(None)
        await self._answers[number].wait()
        if (given := self._given[number]) is None:
            raise Superseded(Superseded.ELSEWHERE)
        return given

    def answer(self, number: int, *, epoch: int = 0, mode: int = 0) -> None:
        """Grant the claim of that number; refuse it without an epoch."""
        self._given[number] = Claimed(epoch, mode) if epoch else None
        self._answers[number].set()

    def release(self, device_id: str) -> None:
        self.said.append(("released", device_id))

    def put_mode(self, device_id: str, epoch: int, mode: int) -> None:
        self.said.append(("mode", device_id, epoch, mode))

    async def wait_durable(self, device_id: str) -> None:
        """Nothing is waited for."""


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
async def devices(asked: Asked, nursery: trio.Nursery) -> Devices:
    cluster: Any = asked
    ownership = Ownership(cluster)
    devices = make_devices(Settings(), CLIPS, store=ownership)
    ownership.devices = devices
    await nursery.start(devices.run)
    return devices


@pytest.fixture
def ownership(devices: Devices) -> Ownership:
    store = devices._context.store
    assert isinstance(store, Ownership)
    return store


async def claim(ownership: Ownership, connection: int = 10) -> None:
    """For a call of the device "one"."""
    await ownership.claim("one", connection, NO_TRANSPORT)


async def attach(
    ownership: Ownership, connection: int = 10, outcome: list[Any] | None = None
) -> None:
    """Claim, and attach for ever."""
    try:
        await claim(ownership, connection)
        with ownership.devices.attach_events("one", connection):
            await trio.sleep_forever()
    except Superseded as why:
        if outcome is not None:
            outcome.append(str(why))
    finally:
        ownership.settle("one")


async def test_the_calls_of_a_connection_ask_once(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    for kind in ("status", "events", "audio"):
        nursery.start_soon(hold, ownership, kind)
        await wait_all_tasks_blocked()
    assert asked.claims == ["one"]
    asked.answer(0, epoch=10, mode=3)
    await wait_all_tasks_blocked()
    device = ownership.devices.by_id["one"]
    assert (len(device.attachments), device.state.mode) == (3, 3)
    assert asked.claims == ["one"]
    assert not ownership._lines


async def hold(ownership: Ownership, kind: str) -> None:
    await claim(ownership)
    devices, sink = ownership.devices, NO_TRANSPORT
    makers: dict[str, Any] = {
        "status": lambda: devices.attach_status("one", 10),
        "events": lambda: devices.attach_events("one", 10),
        "audio": lambda: devices.attach_audio("one", 10, sink),
    }
    with makers[kind]():
        await trio.sleep_forever()


async def test_a_call_on_another_connection_asks_again(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    for connection in (10, 10, 20):
        nursery.start_soon(attach, ownership, connection)
        await wait_all_tasks_blocked()
        if len(asked.claims) == 1:
            asked.answer(0, epoch=10)
        await wait_all_tasks_blocked()
    assert asked.claims == ["one", "one"]


async def test_each_claim_has_an_answer_of_its_own(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    """Whichever comes first, and whatever the age of the connection."""
    became: dict[int, str] = {}

    async def try_to(connection: int) -> None:
        try:
            await claim(ownership, connection)
        except Superseded as why:
            became[connection] = str(why)
        else:
            became[connection] = "granted"

    for connection in (10, 20, 15):
        nursery.start_soon(try_to, connection)
        await wait_all_tasks_blocked()
    asked.answer(1, epoch=20)
    await wait_all_tasks_blocked()
    assert became == {20: "granted"}
    asked.answer(0)
    await wait_all_tasks_blocked()
    assert became == {20: "granted", 10: Superseded.ELSEWHERE}
    asked.answer(2, epoch=20)
    await wait_all_tasks_blocked()
    assert became[15] == "granted"


async def test_a_mode_that_was_put_outlives_an_older_answer(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    nursery.start_soon(attach, ownership, 10)
    await wait_all_tasks_blocked()
    asked.answer(0, epoch=10, mode=1)
    await wait_all_tasks_blocked()
    nursery.start_soon(attach, ownership, 20)
    await wait_all_tasks_blocked()
    ownership.put("one", 4)
    asked.answer(1, epoch=10, mode=1)
    await wait_all_tasks_blocked()
    assert ownership.get("one") == 4
    assert asked.said == [("mode", "one", 10, 4)]


@pytest.mark.parametrize("news_first", [False, True])
async def test_a_device_that_moves_before_the_call_goes_on_is_not_attached(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery, news_first: bool
) -> None:
    outcome: list[str] = []
    nursery.start_soon(attach, ownership, 10, outcome)
    await wait_all_tasks_blocked()
    if news_first:
        ownership.moved("one", 20)
    asked.answer(0, epoch=10)
    if not news_first:
        ownership.moved("one", 20)
    await wait_all_tasks_blocked()
    assert outcome == [Superseded.ELSEWHERE]
    assert not ownership._moved
    assert asked.said == []


@pytest.mark.parametrize("epoch", [5, 10])
async def test_news_of_an_older_epoch_ends_nothing(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery, epoch: int
) -> None:
    nursery.start_soon(attach, ownership)
    await wait_all_tasks_blocked()
    ownership.moved("one", epoch)
    asked.answer(0, epoch=10)
    await wait_all_tasks_blocked()
    ownership.moved("one", epoch)
    assert "one" in ownership.devices.by_id


async def test_a_device_that_has_moved_ends_and_may_come_back(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    outcome: list[str] = []
    nursery.start_soon(attach, ownership, 10, outcome)
    await wait_all_tasks_blocked()
    asked.answer(0, epoch=10, mode=1)
    await wait_all_tasks_blocked()
    ownership.moved("one", 20)
    assert "one" not in ownership.devices.by_id
    await wait_all_tasks_blocked()
    assert outcome == [Superseded.ELSEWHERE]
    nursery.start_soon(attach, ownership, 10)
    await wait_all_tasks_blocked()
    asked.answer(1, epoch=30, mode=2)
    await wait_all_tasks_blocked()
    assert ownership.get("one") == 2
    assert asked.said == []  # the node that has it did not let it go


async def test_a_call_that_has_been_cancelled_asks_nothing(
    ownership: Ownership, asked: Asked
) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await claim(ownership)
    assert asked.claims == []


async def test_a_call_that_is_cancelled_while_it_asks_leaves_the_next_one_to_ask(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    scope = trio.CancelScope()
    nursery.start_soon(held_in, scope, ownership, 10)
    await wait_all_tasks_blocked()
    nursery.start_soon(attach, ownership)
    await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()
    assert asked.claims == ["one", "one"]
    asked.answer(1, epoch=10)
    await wait_all_tasks_blocked()
    assert "one" in ownership.devices.by_id
    assert asked.said == [("released", "one")]  # before the second one asked


async def test_what_may_have_been_granted_to_a_call_that_is_gone_is_released(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    scope = trio.CancelScope()
    nursery.start_soon(held_in, scope, ownership, 10)
    await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()
    assert asked.said == [("released", "one")]
    assert not ownership._held


async def test_a_device_is_released_with_its_last_call(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    scopes = [trio.CancelScope() for _ in range(2)]
    for scope, connection in zip(scopes, (10, 20), strict=True):
        nursery.start_soon(held_in, scope, ownership, connection)
        await wait_all_tasks_blocked()
        asked.answer(len(asked.claims) - 1, epoch=10)
        await wait_all_tasks_blocked()
    for scope in scopes:
        scope.cancel()
        await wait_all_tasks_blocked()
    assert asked.said == [("released", "one")]
    assert not ownership._held


async def held_in(scope: trio.CancelScope, ownership: Ownership, connection: int) -> None:
    with scope:
        await attach(ownership, connection)


async def test_calls_go_on_in_the_order_they_came(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    """Of two calls of one kind the later one is to be the newer to the device."""
    went_on: list[int] = []

    async def go_on(number: int) -> None:
        await claim(ownership)
        went_on.append(number)

    for number in range(10):
        nursery.start_soon(go_on, number)
        await wait_all_tasks_blocked()
    for number in range(10):  # none attaches, so each asks
        asked.answer(number, epoch=10)
        await wait_all_tasks_blocked()
    assert went_on == list(range(10))
    assert not ownership._lines


async def test_one_that_is_cancelled_in_line_holds_up_nobody(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    went_on: list[int] = []
    scopes = [trio.CancelScope() for _ in range(4)]

    async def go_on(number: int) -> None:
        with scopes[number]:
            await claim(ownership)
            went_on.append(number)

    for number in range(4):
        nursery.start_soon(go_on, number)
        await wait_all_tasks_blocked()
    for number in (1, 0, 2):
        scopes[number].cancel()
    await wait_all_tasks_blocked()
    asked.answer(len(asked.claims) - 1, epoch=10)
    await wait_all_tasks_blocked()
    assert went_on == [3]
    assert not ownership._lines
    assert not ownership._asking


async def test_one_whose_turn_comes_as_it_is_cancelled_passes_it_on(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    scopes = [trio.CancelScope() for _ in range(3)]
    for scope in scopes:
        nursery.start_soon(held_in, scope, ownership, 10)
        await wait_all_tasks_blocked()
    nursery.start_soon(attach, ownership)
    await wait_all_tasks_blocked()
    for scope in scopes:
        scope.cancel()
    await wait_all_tasks_blocked()
    asked.answer(len(asked.claims) - 1, epoch=10)
    await wait_all_tasks_blocked()
    assert "one" in ownership.devices.by_id
    assert not ownership._lines


async def test_a_press_that_comes_with_the_move_is_not_written(
    ownership: Ownership, asked: Asked, nursery: trio.Nursery
) -> None:
    nursery.start_soon(attach, ownership)
    await wait_all_tasks_blocked()
    asked.answer(0, epoch=10)
    await wait_all_tasks_blocked()
    ownership.devices.by_id["one"].press(Press(Button.MODE, Action.PRESS, trio.Event()))
    ownership.moved("one", 20)
    await wait_all_tasks_blocked()
    assert asked.said == []


async def test_alone_no_claim_yields_and_no_press_waits() -> None:
    """A server of one process pays for no other."""
    ownership = Ownership(LocalCluster(Hub()))
    ownership.devices = make_devices(Settings(), CLIPS, store=ownership)
    for connection in (10, 20):
        assert not yields(claim(ownership, connection))
    ownership.put("one", 3)
    assert not ownership.is_durable
    assert not yields(ownership.wait_durable("one"))
    assert ownership.get("one") == 3


def yields(call: Coroutine[Any, Any, None]) -> bool:
    try:
        call.send(None)
    except StopIteration:
        return False
    call.close()
    return True
