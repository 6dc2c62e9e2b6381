"""Devices that nobody has, made up by whoever may connect, use up neither memory nor disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_server.device import mode_store
from audio_server.device.mode_store import MemoryModeStore
from audio_server.state.file import StateFile
from audio_server.state.modes import open_modes


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mode_store, "MODES_MAX", 3)


PRESSES = (("a", 1), ("b", 1), ("c", 1), ("a", 2), ("home", 1), ("home", 0), ("d", 1))
LEFT = {"c": 1, "a": 2, "d": 1}


def test_in_memory_the_mode_that_is_longest_unchanged_is_forgotten() -> None:
    store = MemoryModeStore()
    for device_id, mode in PRESSES:
        store.put(device_id, mode)
    assert {device_id: store.get(device_id) for device_id in "abcd"} == {**LEFT, "b": 0}


async def test_in_the_file_too(path: Path) -> None:
    async with open_modes(path.parent) as store:
        assert store is not None
        for device_id, mode in PRESSES:
            store.put(device_id, mode)
            await store.wait_durable(device_id)
        assert store.get("b") == 0
    with StateFile(path) as file:
        assert file.read().modes == LEFT
    async with open_modes(path.parent) as store:
        assert store is not None
        store.put("e", 1)
    with StateFile(path) as file:
        assert len(file.read().modes) == 3
