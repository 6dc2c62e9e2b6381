"""What a worker knows of its devices, and what it forgets."""

from __future__ import annotations

import pytest

from audio_server.workers.cache import OwnershipCache
from audio_server.workers.messages import Changed, Granted, Moved


def make_replica(*connected: str, known_max: int = 100) -> OwnershipCache:
    return OwnershipCache(7, connected.__contains__, known_max=known_max)


def test_a_grant_is_the_newest_connection_and_brings_the_mode() -> None:
    replica = make_replica()
    assert replica.newest("one") == 0
    replica.hear(Granted("one", 10, 3))
    assert (replica.newest("one"), replica.mode("one")) == (10, 3)


def test_a_change_names_worker_and_connection() -> None:
    replica = make_replica()
    replica.hear(Granted("one", 10, 3))
    assert replica.change("one", 4) == Changed(7, "one", 10, 4)
    assert replica.mode("one") == 4


@pytest.mark.parametrize("late", [Moved("one", 10), Granted("one", 10, 1), Moved("one", 5)])
def test_the_answer_to_an_older_claim_takes_nothing_back(late) -> None:
    replica = make_replica()
    replica.hear(Granted("one", 10, 3))
    replica.change("one", 4)
    replica.hear(late)
    assert (replica.newest("one"), replica.mode("one")) == (10, 4)


def test_a_device_that_has_moved_is_known_to_be_elsewhere() -> None:
    replica = make_replica()
    replica.hear(Granted("one", 10, 3))
    replica.hear(Moved("one", 20))
    assert replica.newest("one") == 20


def test_those_that_are_connected_are_not_forgotten() -> None:
    replica = make_replica("one", known_max=2)
    for number, device_id in enumerate(("one", "two", "three", "four"), 1):
        replica.hear(Granted(device_id, number, 1))
    assert replica.newest("one") == 1
    assert replica.newest("two") == 0
    assert replica.newest("four") == 4
