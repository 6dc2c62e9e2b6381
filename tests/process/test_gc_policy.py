"""What is young does not become much, and what is old is let alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from audio_server.process.gc_policy import EVERY_S, spare_old_objects, young_objects_collected


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


class Cycle:
    def __init__(self) -> None:
        self.me = self


async def test_young_objects_are_collected_twice_a_second(autojump_clock: MockClock) -> None:
    generations: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.set_threshold(0)
    gc.callbacks.append(note)
    try:
        async with young_objects_collected():
            await trio.sleep(4.5 * EVERY_S)
        await trio.sleep(EVERY_S)
    finally:
        gc.callbacks.remove(note)
    assert generations == [0] * 4


def test_a_collection_that_comes_by_itself_is_never_a_full_one() -> None:
    full = [phase["collections"] for phase in gc.get_stats()[1:]]
    spare_old_objects()
    kept = [Cycle() for _ in range(50_000)]
    assert [phase["collections"] for phase in gc.get_stats()[1:]] == full
    assert len(kept) == 50_000
