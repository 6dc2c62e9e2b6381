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
from audio_server.workers.messages import Changed, Claim, Granted, Kept, Moved, Up, decode_up
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


@pytest.fixture
def claims(uplink) -> Ownership:
    return Ownership(1, uplink, OwnershipCache(1, lambda device_id: False))


async def test_the_calls_of_a_connection_ask_once(claims, pipe) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(claims.claim, "one", 10)
        await wait_all_tasks_blocked()
        assert pipe.said() == [Claim(1, "one", 10)]
        claims.hear(Granted("one", 10, 3))
    assert claims.get("one") == 3
    await claims.claim("one", 10)
    assert pipe.said() == []


async def test_who_is_not_the_newest_is_refused_unasked(claims, pipe) -> None:
    claims.hear(Moved("one", 20))
    with pytest.raises(Superseded):
        await claims.claim("one", 10)
    assert pipe.said() == []


async def test_the_answer_to_one_refuses_all_that_are_older(claims, pipe) -> None:
    refused: list[int] = []

    async def claim(connection: int) -> None:
        try:
            await claims.claim("one", connection)
        except Superseded:
            refused.append(connection)

    async with trio.open_nursery() as nursery:
        for connection in (10, 20, 15, 30):
            nursery.start_soon(claim, connection)
        await wait_all_tasks_blocked()
        claims.hear(Granted("one", 20, 0))
        await wait_all_tasks_blocked()
        assert sorted(refused) == [10, 15]
        claims.hear(Granted("one", 30, 0))
    assert sorted(refused) == [10, 15]


async def test_a_call_that_has_been_cancelled_asks_nothing(claims, pipe) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await claims.claim("one", 10)
    assert pipe.said() == []


async def test_a_call_that_is_cancelled_while_it_asks_leaves_the_others_their_answer(
    claims, nursery
) -> None:
    with trio.move_on_after(0):
        await claims.claim("one", 10)
    done = trio.Event()

    async def claim() -> None:
        await claims.claim("one", 10)
        done.set()

    nursery.start_soon(claim)
    await wait_all_tasks_blocked()
    claims.hear(Granted("one", 10, 0))
    await done.wait()


async def test_calls_go_on_in_the_order_they_came(claims, nursery) -> None:
    """Of two calls of one kind the later one is to be the newer to the device."""
    went_on: list[int] = []

    async def claim(number: int) -> None:
        await claims.claim("one", 10)
        went_on.append(number)

    for number in range(10):
        nursery.start_soon(claim, number)
        await wait_all_tasks_blocked()
    claims.hear(Granted("one", 10, 0))
    await claim(10)  # comes when the answer is there, but not all have gone on
    assert went_on == list(range(11))
    assert not claims._lines


async def test_one_that_is_cancelled_in_line_holds_up_nobody(claims, nursery) -> None:
    went_on: list[int] = []
    scopes = [trio.CancelScope() for _ in range(4)]

    async def claim(number: int) -> None:
        with scopes[number]:
            await claims.claim("one", 10)
            went_on.append(number)

    for number in range(4):
        nursery.start_soon(claim, number)
        await wait_all_tasks_blocked()
    scopes[0].cancel()
    await wait_all_tasks_blocked()
    assert went_on == []
    scopes[1].cancel()
    claims.hear(Granted("one", 10, 0))
    scopes[2].cancel()
    await wait_all_tasks_blocked()
    assert went_on[-1] == 3
    assert not claims._lines


async def test_a_press_waits_while_its_mode_is_not_in_the_pipe(
    claims, pipe, autojump_clock
) -> None:
    claims.hear(Granted("one", 10, 0))
    pipe.fill()
    claims.put("one", 1)
    with trio.move_on_after(1) as waiting:
        await claims.wait_durable("one")
    assert waiting.cancelled_caught
    assert pipe.said() == []
    await claims.wait_durable("one")
    assert pipe.said() == [Changed(1, "one", 10, 1)]


async def test_a_press_waits_for_every_change_of_its_device(uplink, autojump_clock) -> None:
    claims = Ownership(1, uplink, OwnershipCache(1, lambda device_id: False), confirms=True)
    for device_id in ("one", "two"):
        claims.hear(Granted(device_id, 10, 0))
    claims.put("one", 1)
    claims.put("one", 2)
    claims.hear(Kept("one", 10))
    claims.hear(Kept("one", 9))  # for the worker that was here before
    await claims.wait_durable("two")
    with trio.move_on_after(1) as waiting:
        await claims.wait_durable("one")
    assert waiting.cancelled_caught
    claims.hear(Granted("one", 20, 2))
    claims.put("one", 3)
    claims.hear(Kept("one", 10))
    with trio.move_on_after(1) as waiting:
        await claims.wait_durable("one")
    assert waiting.cancelled_caught
    claims.hear(Kept("one", 20))
    await claims.wait_durable("one")
    claims.hear(Kept("one", 20))
    claims.hear(Kept("one", 9))


@pytest.fixture
async def devices(nursery) -> Devices:
    devices = make_devices(Settings(), CLIPS)
    await nursery.start(devices.run)
    return devices


async def test_devices_refuse_what_is_older_than_what_was_heard(devices) -> None:
    devices.supersede("one", 20)
    with pytest.raises(Superseded), devices.attach_events("one", 10):
        raise AssertionError("attached")
    with devices.attach_events("one", 20):
        devices.supersede("one", 20)
        devices.supersede("one", 10)
        assert devices.by_id["one"].connection == 20


async def test_devices_end_what_is_older_than_what_is_heard(devices, nursery) -> None:
    ended: list[str] = []

    async def hold(device_id: str) -> None:
        try:
            with devices.attach_events(device_id, 10):
                await trio.sleep_forever()
        except Superseded:
            ended.append(device_id)

    nursery.start_soon(hold, "one")
    nursery.start_soon(hold, "two")
    await wait_all_tasks_blocked()
    devices.supersede("one", 20)
    assert list(devices.by_id) == ["two"]
    await wait_all_tasks_blocked()
    assert ended == ["one"]


async def test_a_press_that_comes_with_the_move_is_not_told_as_the_newer_connections(
    uplink, pipe, nursery
) -> None:
    replica = OwnershipCache(1, lambda device_id: device_id in devices.by_id)
    claims = Ownership(1, uplink, replica)
    devices = make_devices(Settings(), CLIPS, store=claims)
    await nursery.start(devices.run)
    claims.hear(Granted("one", 10, 0))
    with pytest.raises(Superseded), devices.attach_events("one", 10):  # noqa: PT012
        await wait_all_tasks_blocked()
        devices.by_id["one"].press(Press(Button.MODE, Action.PRESS, 10, trio.Event()))
        devices.supersede("one", 20)
        claims.hear(Moved("one", 20))
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
    assert pipe.said() == []
