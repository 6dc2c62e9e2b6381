"""The registry: who has a device, in which mode, and who is told of it."""

from __future__ import annotations

import pytest

from audio_server.device.mode_store import MemoryModeStore
from audio_server.workers.directory import Directory
from audio_server.workers.messages import Changed, Claim, Down, Granted, Moved


@pytest.fixture
def registry() -> Directory:
    return Directory(3)


def claim(
    registry: Directory, worker: int, connection: int, device_id: str = "one"
) -> list[tuple[int, Down]]:
    return list(registry.claim(Claim(worker, device_id, connection)))


def test_a_new_device_is_granted_and_nobody_else_is_told(registry) -> None:
    assert claim(registry, 1, 10) == [(1, Granted("one", 10, 0))]


def test_a_device_that_moves_takes_its_mode_along_and_its_old_worker_is_told(registry) -> None:
    claim(registry, 1, 10)
    registry.change(Changed(1, "one", 10, 3))
    assert claim(registry, 2, 20) == [(1, Moved("one", 20)), (2, Granted("one", 20, 3))]


def test_a_newer_connection_to_the_same_worker_is_only_granted(registry) -> None:
    claim(registry, 1, 10)
    assert claim(registry, 1, 20) == [(1, Granted("one", 20, 0))]


def test_an_older_connection_is_refused_and_changes_nothing(registry) -> None:
    claim(registry, 1, 20)
    assert claim(registry, 2, 10) == [(2, Moved("one", 20))]
    assert claim(registry, 1, 20) == [(1, Granted("one", 20, 0))]


def test_what_an_old_connection_changes_later_does_not_count(registry) -> None:
    claim(registry, 1, 10)
    claim(registry, 2, 20)
    registry.change(Changed(1, "one", 10, 4))
    registry.change(Changed(2, "one", 20, 1))
    registry.change(Changed(1, "one", 10, 2))
    assert claim(registry, 3, 30)[-1] == (3, Granted("one", 30, 1))


def test_devices_are_apart(registry) -> None:
    claim(registry, 1, 10, "one")
    registry.change(Changed(1, "one", 10, 3))
    assert claim(registry, 2, 20, "two") == [(2, Granted("two", 20, 0))]


def test_when_some_have_been_forgotten_all_are_told_of_one_that_is_not_known() -> None:
    registry = Directory(3, known_max=1)
    claim(registry, 1, 10, "one")
    claim(registry, 1, 11, "two")  # nobody has been forgotten yet
    assert claim(registry, 2, 20, "one") == [
        (1, Moved("one", 20)),
        (3, Moved("one", 20)),
        (2, Granted("one", 20, 0)),
    ]


def test_a_change_counts_for_a_device_that_has_been_forgotten() -> None:
    registry = Directory(2, known_max=1)
    claim(registry, 1, 10, "one")
    claim(registry, 1, 11, "two")
    registry.change(Changed(1, "one", 10, 2))
    assert claim(registry, 2, 20, "one") == [(1, Moved("one", 20)), (2, Granted("one", 20, 2))]


def test_modes_are_the_stores() -> None:
    store = MemoryModeStore()
    store.put("one", 4)
    registry = Directory(2, store=store)
    assert claim(registry, 1, 10) == [(1, Granted("one", 10, 4))]
    registry.change(Changed(1, "one", 10, 2))
    assert store.get("one") == 2
