"""The registry: who has a device, in which mode, and who is told of it."""

from __future__ import annotations

import pytest

from audio_server.device.mode_store import MemoryModeStore
from audio_server.workers.directory import Directory
from audio_server.workers.messages import Changed, Claim, Down, Granted, Moved, Refused


@pytest.fixture
def registry() -> Directory:
    return Directory(3)


def claim(
    registry: Directory, worker: int, arrival: int, device_id: str = "one"
) -> list[tuple[int, Down]]:
    return list(registry.claim(Claim(worker, device_id, arrival)))


def test_a_new_device_is_granted_and_nobody_else_is_told(registry) -> None:
    assert claim(registry, 1, 10) == [(1, Granted("one", 10, 10, 0))]


def test_a_device_that_moves_takes_its_mode_along_and_its_old_worker_is_told(registry) -> None:
    claim(registry, 1, 10)
    registry.change(Changed(1, "one", 10, 3))
    assert claim(registry, 2, 20) == [(1, Moved("one", 20)), (2, Granted("one", 20, 20, 3))]


@pytest.mark.parametrize("arrival", [20, 10, 5])
def test_another_call_at_the_same_worker_ends_nothing(registry, arrival) -> None:
    """On whichever connection, older or newer: the tenure goes on."""
    claim(registry, 1, 10)
    registry.change(Changed(1, "one", 10, 3))
    assert claim(registry, 1, arrival) == [(1, Granted("one", arrival, 10, 3))]
    registry.change(Changed(1, "one", 10, 4))
    assert claim(registry, 2, 30)[-1] == (2, Granted("one", 30, 30, 4))


def test_an_older_call_at_another_worker_is_refused_and_changes_nothing(registry) -> None:
    claim(registry, 1, 20)
    assert claim(registry, 2, 10) == [(2, Refused("one", 10))]
    assert claim(registry, 1, 20) == [(1, Granted("one", 20, 20, 0))]


def test_the_newest_call_at_the_worker_counts_for_that(registry) -> None:
    claim(registry, 1, 10)
    claim(registry, 1, 30)
    assert claim(registry, 2, 20) == [(2, Refused("one", 20))]


def test_a_device_may_go_back(registry) -> None:
    """A newer call wins, whatever the age of its connection."""
    claim(registry, 1, 10)
    claim(registry, 2, 20)
    assert claim(registry, 1, 30) == [(2, Moved("one", 30)), (1, Granted("one", 30, 30, 0))]


def test_a_change_of_a_tenure_that_is_over_does_not_count(registry) -> None:
    claim(registry, 1, 10)
    claim(registry, 2, 20)
    registry.change(Changed(1, "one", 10, 4))
    registry.change(Changed(2, "one", 20, 1))
    registry.change(Changed(1, "one", 10, 2))
    claim(registry, 1, 30)
    registry.change(Changed(1, "one", 10, 3))
    assert claim(registry, 3, 40)[-1] == (3, Granted("one", 40, 40, 1))


def test_a_worker_that_is_replaced_begins_a_tenure_of_its_own(registry) -> None:
    """Whatever is still answered to the process before it is not meant for the new one."""
    claim(registry, 1, 10)
    registry.change(Changed(1, "one", 10, 3))
    registry.begin(1)
    assert claim(registry, 1, 20) == [(1, Granted("one", 20, 20, 3))]
    registry.begin(1)
    assert claim(registry, 1, 15) == [(1, Granted("one", 15, 21, 3))]


def test_devices_are_apart(registry) -> None:
    claim(registry, 1, 10, "one")
    registry.change(Changed(1, "one", 10, 3))
    assert claim(registry, 2, 20, "two") == [(2, Granted("two", 20, 20, 0))]


def test_when_some_have_been_forgotten_all_are_told_of_one_that_is_not_known() -> None:
    registry = Directory(3, known_max=1)
    claim(registry, 1, 10, "one")
    claim(registry, 1, 11, "two")  # nobody has been forgotten yet
    assert claim(registry, 2, 20, "one") == [
        (1, Moved("one", 20)),
        (3, Moved("one", 20)),
        (2, Granted("one", 20, 20, 0)),
    ]


def test_a_change_counts_for_a_device_that_has_been_forgotten() -> None:
    registry = Directory(2, known_max=1)
    claim(registry, 1, 10, "one")
    claim(registry, 1, 11, "two")
    registry.change(Changed(1, "one", 10, 2))
    assert claim(registry, 2, 20, "one") == [(1, Moved("one", 20)), (2, Granted("one", 20, 20, 2))]


def test_modes_are_the_stores() -> None:
    store = MemoryModeStore()
    store.put("one", 4)
    registry = Directory(2, store=store)
    assert claim(registry, 1, 10) == [(1, Granted("one", 10, 10, 4))]
    registry.change(Changed(1, "one", 10, 2))
    assert store.get("one") == 2
