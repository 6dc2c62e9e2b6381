"""Replicas that are missing for long: nothing piles up, and nothing is confirmed for another."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.cluster.replicas import Replicas
from audio_server.cluster.unconfirmed import Unconfirmed


class Engine:
    """A connection whose WAIT is answered when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self._answers, self._given = trio.open_memory_channel[int](1)

    def send(self, *_: Any) -> None:
        """Take a mark."""

    async def ask(self, *_: Any) -> int:
        self.asked += 1
        return await self._given.receive()

    async def find(self, replicas: int) -> None:
        """Answer, and let the answer take effect."""
        await self._answers.send(replicas)
        await wait_all_tasks_blocked()


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def confirmed() -> list[tuple[str, int]]:
    return []


@pytest.fixture
async def replicas(engine: Engine, nursery: trio.Nursery) -> Replicas:
    connection: Any = engine
    replicas = Replicas(connection, 1)
    nursery.start_soon(replicas.run)
    return replicas


async def note(replicas: Replicas, told: list[tuple[str, int]], device_id: str, mode: int) -> None:
    replicas.when_replicated(device_id, lambda: told.append((device_id, mode)))
    await wait_all_tasks_blocked()


async def test_a_device_waits_once_however_often_it_is_pressed(
    replicas: Replicas, engine: Engine, confirmed: list[tuple[str, int]]
) -> None:
    for number in range(100):
        await note(replicas, confirmed, "x", number)
        await note(replicas, confirmed, "y", number)
        await engine.find(0)
    assert len(replicas._waiting) + len(replicas._asked) <= 2 * 2
    assert confirmed == []
    await engine.find(1)
    await engine.find(1)
    assert sorted(confirmed)[-1] == ("y", 99)
    assert ("x", 99) in confirmed
    assert not replicas._waiting
    assert not replicas._asked


async def test_devices_that_are_forgotten_wait_no_longer(
    replicas: Replicas, engine: Engine, confirmed: list[tuple[str, int]]
) -> None:
    for number in range(50):
        await note(replicas, confirmed, f"device-{number}", 1)
        replicas.drop(f"device-{number}")
    await engine.find(0)
    assert not replicas._waiting
    await note(replicas, confirmed, "x", 7)
    await engine.find(1)
    assert confirmed == [("x", 7)]


async def test_no_answer_confirms_a_mode_that_was_put_since(engine: Engine) -> None:
    """Neither after the device has moved and come back."""
    unconfirmed = Unconfirmed(1.0, lambda: None)
    first = unconfirmed.add("x")
    unconfirmed.drop("x")
    second = unconfirmed.add("x")
    unconfirmed.confirm("x", first)
    assert unconfirmed.newest("x") == second
    unconfirmed.confirm("x", second)
    assert unconfirmed.newest("x") == 0
