"""What a worker knows of its devices, and what it forgets."""

from __future__ import annotations

import pytest

from audio_server.workers.cache import OwnershipCache
from audio_server.workers.messages import Changed, Granted, Moved


def make_replica(*connected: str, known_max: int = 100) -> OwnershipCache:
    return OwnershipCache(7, connected.__contains__, known_max=known_max)


def test_a_grant_brings_the_device_and_its_mode() -> None:
    cache = make_replica()
    assert not cache.has("one")
    assert cache.hear(Granted("one", 10, 10, 3))
    assert cache.has("one")
    assert cache.mode("one") == 3


def test_a_change_names_worker_and_tenure() -> None:
    cache = make_replica()
    cache.hear(Granted("one", 12, 10, 3))
    assert cache.change("one", 4) == Changed(7, "one", 10, 4)
    assert cache.mode("one") == 4


@pytest.mark.parametrize(
    "late", [Moved("one", 10), Granted("one", 11, 10, 1), Granted("one", 5, 10, 1), Moved("one", 5)]
)
def test_the_answer_to_another_claim_takes_nothing_back(late) -> None:
    cache = make_replica()
    cache.hear(Granted("one", 10, 10, 3))
    cache.change("one", 4)
    assert not cache.hear(late)
    assert cache.has("one")
    assert cache.mode("one") == 4


def test_a_device_that_has_moved_is_not_here_until_it_comes_back() -> None:
    cache = make_replica()
    cache.hear(Granted("one", 10, 10, 3))
    assert cache.hear(Moved("one", 20))
    assert not cache.has("one")
    assert not cache.hear(Granted("one", 11, 10, 3))
    assert not cache.has("one")
    assert cache.hear(Granted("one", 30, 30, 1))
    assert cache.mode("one") == 1


def test_those_that_are_connected_are_not_forgotten() -> None:
    cache = make_replica("one", known_max=2)
    for number, device_id in enumerate(("one", "two", "three", "four"), 1):
        cache.hear(Granted(device_id, number, number, 1))
    assert cache.has("one")
    assert not cache.has("two")
    assert cache.has("four")
