"""Young objects stay few, and a full collection comes when it harms nothing."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from audio_server.process import gc_policy
from audio_server.process.gc_policy import (
    EVERY_S,
    FULL_EVERY_S,
    Pauses,
    collecting,
    pauses_for,
    spare_old_objects,
)

LEAD_S = 0.3
A_MINUTE_S = FULL_EVERY_S + EVERY_S


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(0)
    yield
    gc.set_threshold(*before)


class Cycle:
    def __init__(self) -> None:
        self.me = self


class FakeMeter:
    """A process in which `devices` play; `pauses_s` is what it was told."""

    def __init__(self, devices: int = 0) -> None:
        self.devices = devices
        self.pauses_s: list[float] = []

    def playing(self) -> float:
        return self.devices

    def collected(self, pause_s: float) -> None:
        self.pauses_s.append(pause_s)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Blocks and resident bytes as a test wants them: 1,000 blocks take 0.6 ms."""
    memory = SimpleNamespace(blocks=0, resident=100_000_000)
    fake = SimpleNamespace(getallocatedblocks=lambda: memory.blocks)
    monkeypatch.setattr(gc_policy, "sys", fake)
    nothing = SimpleNamespace(collect=lambda *_: 0, freeze=lambda: None, unfreeze=lambda: None)
    monkeypatch.setattr(gc_policy, "gc", nothing)
    monkeypatch.setattr(gc_policy, "_resident_bytes", lambda: memory.resident)
    monkeypatch.setattr(gc_policy, "_TASK_BYTES", 0)
    return memory


async def test_young_objects_are_collected_twice_a_second(autojump_clock: MockClock) -> None:
    generations: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.callbacks.append(note)
    try:
        async with collecting(FakeMeter(), lambda: LEAD_S):
            await trio.sleep(4.5 * EVERY_S)
        await trio.sleep(EVERY_S)
    finally:
        gc.callbacks.remove(note)
    assert generations == [2, *[0] * 4]  # the first is the one at the start


def test_a_collection_that_comes_by_itself_is_never_a_full_one() -> None:
    full = [phase["collections"] for phase in gc.get_stats()[1:]]
    spare_old_objects()
    kept = [Cycle() for _ in range(50_000)]
    assert [phase["collections"] for phase in gc.get_stats()[1:]] == full
    assert len(kept) == 50_000


async def test_old_cycles_are_freed_within_two_minutes(autojump_clock: MockClock) -> None:
    meter = FakeMeter()
    async with collecting(meter, lambda: LEAD_S):
        cycles = [Cycle() for _ in range(2_000)]
        await trio.sleep(2 * EVERY_S)  # they are old now
        del cycles
        with capture_logs() as logs:
            await trio.sleep(2 * A_MINUTE_S)
        left = [each for each in gc.get_objects() if isinstance(each, Cycle)]
    assert left == []
    assert [line["event"] for line in logs] == ["cycles collected"]
    assert logs[0]["objects"] >= 2_000
    assert len(meter.pauses_s) == 2


@pytest.mark.parametrize(
    ("devices", "blocks", "collected"),
    [
        (0, 400_000, 1),  # 240 ms, and nothing plays
        (0, 450_000, 0),
        (1, 48_000, 1),  # 29 ms, within what a device has in hand
        (1, 55_000, 0),
        (2_000, 2_000_000, 0),
    ],
)
async def test_a_full_collection_is_as_short_as_what_plays_allows(
    devices: int, blocks: int, collected: int, memory: SimpleNamespace, autojump_clock: MockClock
) -> None:
    meter = FakeMeter(devices)
    async with collecting(meter, lambda: LEAD_S):
        memory.blocks = blocks
        await trio.sleep(A_MINUTE_S)
    assert len(meter.pauses_s) == collected


async def test_it_waits_for_a_quiet_moment(
    memory: SimpleNamespace, autojump_clock: MockClock
) -> None:
    meter = FakeMeter(devices=1)
    async with collecting(meter, lambda: LEAD_S):
        memory.blocks = 400_000
        await trio.sleep(2 * A_MINUTE_S)
        assert meter.pauses_s == []
        meter.devices = 0
        await trio.sleep(1.5 * EVERY_S)
        assert len(meter.pauses_s) == 1


async def test_an_hour_without_one_allows_a_longer_pause(
    memory: SimpleNamespace, autojump_clock: MockClock
) -> None:
    meter = FakeMeter()
    async with collecting(meter, lambda: LEAD_S):
        memory.blocks = 1_500_000  # 900 ms
        await trio.sleep(Pauses().overdue_after_s - EVERY_S)
        assert meter.pauses_s == []
        await trio.sleep(2 * EVERY_S)
        assert len(meter.pauses_s) == 1


async def test_memory_that_doubles_is_collected_whatever_plays(
    memory: SimpleNamespace, autojump_clock: MockClock
) -> None:
    meter = FakeMeter(devices=2_000)
    async with collecting(meter, lambda: LEAD_S):
        memory.blocks, memory.resident = 2_000_000, 450_000_000
        await trio.sleep(A_MINUTE_S)
        assert meter.pauses_s == []
        memory.resident = 470_000_000  # twice 100 MB, and 256 MiB
        with capture_logs() as logs:
            await trio.sleep(2 * EVERY_S)
        assert len(meter.pauses_s) == 1
    assert [line["log_level"] for line in logs] == ["warning"]


async def test_what_one_took_is_expected_of_the_next(
    memory: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    worked = iter([0.0, 0.06])
    monkeypatch.setattr(
        gc_policy, "time", SimpleNamespace(thread_time=lambda: next(worked), perf_counter=lambda: 0)
    )
    meter = FakeMeter(devices=1)
    async with collecting(meter, lambda: LEAD_S):
        memory.blocks = 48_000  # 29 ms are expected, 60 are measured: a slow machine
        await trio.sleep(A_MINUTE_S)
        assert len(meter.pauses_s) == 1
        memory.blocks = 17_000
        await trio.sleep(A_MINUTE_S)
    assert len(meter.pauses_s) == 1


async def test_freed_memory_goes_back_the_rarer_the_longer_it_takes(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    trims_s, took_s = [], 0.0
    clock = SimpleNamespace(s=0.0)

    def trim() -> None:
        trims_s.append(trio.current_time())
        clock.s += took_s

    monkeypatch.setattr(gc_policy, "trim_heap", trim)
    monkeypatch.setattr(gc_policy, "time", SimpleNamespace(perf_counter=lambda: clock.s))
    async with collecting(FakeMeter(), lambda: LEAD_S):
        await trio.sleep(3.75)
        assert trims_s == [0.5, 1.5, 2.5, 3.5]
        took_s = 0.01
        await trio.sleep(30)
    assert trims_s[4:] == [4.5, 14.5, 24.5]


@pytest.mark.parametrize(("lead_s", "playing_s"), [(0.06, 0.006), (0.3, 0.03), (2.0, 0.03)])
def test_a_short_lead_allows_short_pauses(lead_s: float, playing_s: float) -> None:
    assert pauses_for(lead_s).playing_s == pytest.approx(playing_s)


async def test_a_lead_that_becomes_shorter_shortens_pauses(
    memory: SimpleNamespace, autojump_clock: MockClock
) -> None:
    """A group gets a lead of 60 ms: a pause of 12 ms would be heard there."""
    meter, lead_s = FakeMeter(devices=1), LEAD_S
    async with collecting(meter, lambda: lead_s):
        memory.blocks = 20_000
        await trio.sleep(A_MINUTE_S)
        assert len(meter.pauses_s) == 1
        lead_s = 0.06
        await trio.sleep(A_MINUTE_S)
        assert len(meter.pauses_s) == 1
        lead_s = 2.0
        await trio.sleep(2 * EVERY_S)
        assert len(meter.pauses_s) == 2


async def test_a_small_heap_tells_nothing_of_a_large_one(
    memory: SimpleNamespace, autojump_clock: MockClock
) -> None:
    meter = FakeMeter(devices=1)
    async with collecting(meter, lambda: LEAD_S):
        memory.blocks = 10_000
        await trio.sleep(A_MINUTE_S)
        assert len(meter.pauses_s) == 1
        memory.blocks = 70_000
        await trio.sleep(A_MINUTE_S)
    assert len(meter.pauses_s) == 1


async def test_what_is_there_at_the_start_is_frozen_until_the_end() -> None:
    before = gc.get_freeze_count()
    async with collecting(FakeMeter(), lambda: LEAD_S):
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() <= before
    assert sys.getallocatedblocks() > 0
