"""A worker's claims: what it asks, when it need not ask, and what a press waits for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import trio
from cluster import CLIPS
from trio.testing import wait_all_tasks_blocked

from audio_server.app import make_devices
from audio_server.device.attachment import Superseded
from audio_server.device.behaviour import Action, Button
from audio_server.device.press_queue import Press
from audio_server.device.registry import Devices
from audio_server.settings import Settings
from audio_server.workers.cache import OwnershipCache
from audio_server.workers.messages import (
    Changed,
    Claim,
    Granted,
    Kept,
    Moved,
    Refused,
    Up,
    decode_up,
)
from audio_server.workers.ownership import Ownership
from audio_server.workers.uplink import Uplink


class Pipe:
    """The pipe to the supervisor, and what the worker has said through it."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)

    def said(self) -> list[Up]:
        try:
            return [decode_up(line) for line in os.read(self.reading, 100_000).splitlines() if line]
        except BlockingIOError:
            return []

    def fill(self) -> None:
        os.set_blocking(self.writing, False)
        try:
            while True:
                os.write(self.writing, b"\n" * 4096)
        except BlockingIOError:
            return


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reading)
    os.close(pipe.writing)


@pytest.fixture
async def uplink(pipe, nursery) -> Uplink:
    uplink = Uplink(pipe.writing)
    nursery.start_soon(uplink.run)
    return uplink


def not_attached(device_id: str, connection: int) -> bool:
    return False


@pytest.fixture
def ownership(uplink) -> Ownership:
    return Ownership(1, uplink, OwnershipCache(1, lambda device_id: False), not_attached)


async def claim(ownership: Ownership, connection: int, arrival: int | None = None) -> None:
    """For a call of the device "one"; unless told, it came in with its connection."""
    came = connection if arrival is None else arrival
    await ownership.claim("one", connection, lambda: came)


async def test_the_calls_of_a_connection_ask_once(ownership, pipe) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(claim, ownership, 10)
        await wait_all_tasks_blocked()
        assert pipe.said() == [Claim(1, "one", 10)]
        ownership.hear(Granted("one", 10, 10, 3))
    assert ownership.get("one") == 3


@pytest.mark.parametrize(("connection", "asks"), [(10, False), (20, True)])
async def test_where_the_device_has_a_call_open_on_the_connection_nothing_is_asked(
    uplink, pipe, autojump_clock, connection, asks
) -> None:
    cache = OwnershipCache(1, lambda device_id: True)
    ownership = Ownership(1, uplink, cache, lambda device_id, connection: connection == 10)
    ownership.hear(Granted("one", 10, 10, 0))
    with trio.move_on_after(1) as waiting:
        await claim(ownership, connection, 30)
    assert waiting.cancelled_caught == asks
    assert pipe.said() == [Claim(1, "one", 30)] * asks


async def test_each_claim_has_an_answer_of_its_own(ownership, pipe) -> None:
    """Whichever comes first, and whatever the age of the connection."""
    became: dict[int, str] = {}

    async def try_to(connection: int) -> None:
        try:
            await claim(ownership, connection)
        except Superseded as why:
            became[connection] = str(why)
        else:
            became[connection] = "granted"

    async with trio.open_nursery() as nursery:
        for connection in (10, 20, 15):
            nursery.start_soon(try_to, connection)
        await wait_all_tasks_blocked()
        ownership.hear(Granted("one", 20, 20, 0))
        await wait_all_tasks_blocked()
        assert became == {20: "granted"}
        ownership.hear(Refused("one", 10))
        await wait_all_tasks_blocked()
        assert became == {20: "granted", 10: Superseded.ELSEWHERE}
        ownership.hear(Granted("one", 15, 20, 0))
    assert became[15] == "granted"


async def test_a_device_that_moves_before_the_call_goes_on_is_not_attached(
    ownership, nursery
) -> None:
    nursery.start_soon(answer_and_move, ownership)
    with trio.fail_after(1), pytest.raises(Superseded):
        await claim(ownership, 10)


async def answer_and_move(ownership: Ownership) -> None:
    await wait_all_tasks_blocked()
    ownership.hear(Granted("one", 10, 10, 0))
    assert ownership.moved(Moved("one", 20))


async def test_a_call_that_has_been_cancelled_asks_nothing(ownership, pipe) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await claim(ownership, 10)
    assert pipe.said() == []


async def test_a_call_that_is_cancelled_while_it_asks_leaves_the_others_their_answer(
    ownership, nursery
) -> None:
    with trio.move_on_after(0):
        await claim(ownership, 10)
    done = trio.Event()

    async def wait_answer() -> None:
        await claim(ownership, 10)
        done.set()

    nursery.start_soon(wait_answer)
    await wait_all_tasks_blocked()
    ownership.hear(Granted("one", 10, 10, 0))
    await done.wait()


async def test_calls_go_on_in_the_order_they_came(ownership, nursery) -> None:
    """Of two calls of one kind the later one is to be the newer to the device."""
    went_on: list[int] = []

    async def go_on(number: int) -> None:
        await claim(ownership, 10)
        went_on.append(number)

    for number in range(10):
        nursery.start_soon(go_on, number)
        await wait_all_tasks_blocked()
    ownership.hear(Granted("one", 10, 10, 0))
    await go_on(10)  # comes when the answer is there, but not all have gone on
    assert went_on == list(range(11))
    assert not ownership._lines


async def test_one_that_is_cancelled_in_line_holds_up_nobody(ownership, nursery) -> None:
    went_on: list[int] = []
    scopes = [trio.CancelScope() for _ in range(4)]

    async def go_on(number: int) -> None:
        with scopes[number]:
            await claim(ownership, 10)
            went_on.append(number)

    for number in range(4):
        nursery.start_soon(go_on, number)
        await wait_all_tasks_blocked()
    scopes[0].cancel()
    await wait_all_tasks_blocked()
    assert went_on == []
    scopes[1].cancel()
    ownership.hear(Granted("one", 10, 10, 0))
    scopes[2].cancel()
    await wait_all_tasks_blocked()
    assert went_on[-1] == 3
    assert not ownership._lines


async def test_a_press_waits_while_its_mode_is_not_in_the_pipe(
    ownership, pipe, autojump_clock
) -> None:
    ownership.hear(Granted("one", 10, 10, 0))
    pipe.fill()
    ownership.put("one", 1)
    with trio.move_on_after(1) as waiting:
        await ownership.wait_durable("one")
    assert waiting.cancelled_caught
    assert pipe.said() == []
    await ownership.wait_durable("one")
    assert pipe.said() == [Changed(1, "one", 10, 1)]


async def test_a_press_waits_for_every_change_of_its_device(uplink, autojump_clock) -> None:
    cache = OwnershipCache(1, lambda device_id: False)
    ownership = Ownership(1, uplink, cache, not_attached, confirms=True)
    for device_id in ("one", "two"):
        ownership.hear(Granted(device_id, 10, 10, 0))
    ownership.put("one", 1)
    ownership.put("one", 2)
    ownership.hear(Kept("one", 10))
    ownership.hear(Kept("one", 9))  # for the worker that was here before
    await ownership.wait_durable("two")
    with trio.move_on_after(1) as waiting:
        await ownership.wait_durable("one")
    assert waiting.cancelled_caught
    ownership.hear(Granted("one", 20, 20, 2))
    ownership.put("one", 3)
    ownership.hear(Kept("one", 10))
    with trio.move_on_after(1) as waiting:
        await ownership.wait_durable("one")
    assert waiting.cancelled_caught
    ownership.hear(Kept("one", 20))
    await ownership.wait_durable("one")
    ownership.hear(Kept("one", 20))
    ownership.hear(Kept("one", 9))


@pytest.fixture
async def devices(nursery) -> Devices:
    devices = make_devices(Settings(), CLIPS)
    await nursery.start(devices.run)
    return devices


async def test_a_device_that_is_released_ends_and_may_come_back(devices, nursery) -> None:
    ended: list[str] = []

    async def hold(device_id: str) -> None:
        try:
            with devices.attach_events(device_id, 10):
                await trio.sleep_forever()
        except Superseded as why:
            ended.append(f"{device_id}: {why}")

    nursery.start_soon(hold, "one")
    nursery.start_soon(hold, "two")
    await wait_all_tasks_blocked()
    assert devices.is_attached("one", 10)
    devices.release("one")
    assert not devices.is_attached("one", 10)
    assert list(devices.by_id) == ["two"]
    await wait_all_tasks_blocked()
    assert ended == [f"one: {Superseded.ELSEWHERE}"]
    with devices.attach_events("one", 5):
        assert devices.is_attached("one", 5)


async def test_a_press_that_comes_with_the_move_is_not_told(uplink, pipe, nursery) -> None:
    cache = OwnershipCache(1, lambda device_id: device_id in devices.by_id)
    ownership = Ownership(1, uplink, cache, not_attached)
    devices = make_devices(Settings(), CLIPS, store=ownership)
    await nursery.start(devices.run)
    ownership.hear(Granted("one", 10, 10, 0))
    with pytest.raises(Superseded), devices.attach_events("one", 10):  # noqa: PT012
        await wait_all_tasks_blocked()
        devices.by_id["one"].press(Press(Button.MODE, Action.PRESS, trio.Event()))
        assert ownership.moved(Moved("one", 20))
        devices.release("one")
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
    assert pipe.said() == []
