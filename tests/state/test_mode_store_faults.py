"""Disks and files that fail, hang, are damaged or are somebody else's: no device ends for it."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest
import trio
from slow_file import FULL, SlowFile, running, stored, until, warnings

from audio_server.state.file import StateDamaged, StateFile, StateUnusable
from audio_server.state.modes import KEPT_S, RETRY_S, FileModeStore, open_modes


async def test_a_full_disk_is_one_warning_and_delays_nobody(path, logged) -> None:
    file = SlowFile()
    async with stored(file, path) as store:
        file.error = FULL
        for mode in (1, 2, 3):
            store.put("a", mode)
            await store.wait_durable("a")
        assert store.get("a") == 3
        assert warnings(logged) == ["modes are kept in memory only"]
        file.error = None
    assert file.rows == {"a": 3}


async def test_a_disk_that_hangs_holds_no_press_for_long(path, logged, autojump_clock) -> None:
    file = SlowFile()
    async with stored(file, path) as store:
        file.is_slow = True
        store.put("a", 1)
        await trio.to_thread.run_sync(file.begun.acquire)
        store.put("b", 2)
        async with trio.open_nursery() as nursery:
            began_at = trio.current_time()
            for device_id in ("a", "b"):
                nursery.start_soon(store.wait_durable, device_id)
        assert trio.current_time() - began_at == KEPT_S
        assert warnings(logged) == ["modes are kept in memory only"]
        store.put("c", 3)
        await store.wait_durable("c")
        await store.wait_durable("a")
        assert trio.current_time() - began_at == KEPT_S
        assert [store.get(device_id) for device_id in "abc"] == [1, 2, 3]
        file.is_slow = False
        file.may_write.release()
        await until(lambda: len(file.rows) == 3)
        store.put("d", 4)
        await until(lambda: file.rows.get("d") == 4)
    assert [entry["event"] for entry in logged] == [
        "modes are kept in memory only",
        "modes are kept in the file again",
    ]


async def test_a_disk_that_hangs_and_then_fails_loses_nothing(path, logged, autojump_clock) -> None:
    file = SlowFile()
    async with stored(file, path) as store:
        file.is_slow, file.error = True, None
        store.put("a", 1)
        await trio.to_thread.run_sync(file.begun.acquire)
        await store.wait_durable("a")
        file.error, file.is_slow = FULL, False
        file.may_write.release()
        await until(lambda: file.opened > 1)
        file.error = None
        await until(lambda: len(logged) == 2)
        assert file.rows == {"a": 1}


async def test_a_file_that_may_not_grow(path, logged) -> None:
    """SQLite itself says that there is no room."""

    class SmallFile(StateFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._db.execute("PRAGMA max_page_count = 8")

    async with running(FileModeStore(path, open_file=SmallFile)) as store:
        store.put("first", 1)
        await store.wait_durable("first")
        for number in range(1000):
            store.put(f"device-{number:050}", 1)
        await store.wait_durable(f"device-{0:050}")
        store.put("last", 2)
        await store.wait_durable("last")
        assert store.get("last") == 2
    assert warnings(logged) == ["modes are kept in memory only"]
    assert "full" in logged[0]["reason"]
    with StateFile(path) as file:
        assert file.read().modes == {"first": 1}


async def test_a_disk_that_has_room_again_gets_what_it_missed(
    path, logged, autojump_clock, monkeypatch
) -> None:
    # A clock that jumps does so while a thread is at work, however short that is.
    monkeypatch.setattr("audio_server.state.modes.KEPT_S", inf)
    file = SlowFile()
    async with stored(file, path) as store:
        file.error = FULL
        store.put("a", 1)
        await store.wait_durable("a")
        began_at = trio.current_time()
        store.put("b", 2)
        await until(lambda: file.opened == 3)
        assert trio.current_time() - began_at >= 2 * RETRY_S
        file.error = None
        await until(lambda: bool(file.rows))
        assert file.rows == {"a": 1, "b": 2}
        store.put("c", 3)
        await store.wait_durable("c")
        assert file.rows == {"a": 1, "b": 2, "c": 3}
    assert [entry["event"] for entry in logged] == [
        "modes are kept in memory only",
        "modes are kept in the file again",
    ]


async def test_a_folder_that_cannot_be_made(tmp_path, logged) -> None:
    (tmp_path / "data").write_text("a file, where a folder should be")
    async with open_modes(tmp_path / "data") as store:
        store.put("a", 1)
        await store.wait_durable("a")
        assert store.get("a") == 1
    assert warnings(logged) == ["modes are kept in memory only"]


async def test_a_file_that_comes_late_counts_where_nothing_was_put(path, autojump_clock) -> None:
    file = SlowFile()
    file.rows = {"a": 1, "b": 2, "c": 3}
    file.error = FULL
    async with stored(file, path) as store:
        store.put("a", 4)
        store.put("b", 0)
        await store.wait_durable("a")
        file.error = None
        await until(lambda: file.rows["a"] == 4)
        assert [store.get(device_id) for device_id in "abc"] == [4, 0, 3]
    assert file.rows == {"a": 4, "b": 0, "c": 3}


async def test_a_damaged_file_is_set_aside_at_the_start(path, logged) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    async with open_modes(path.parent) as store:
        store.put("a", 1)
        await store.wait_durable("a")
    assert warnings(logged) == ["state file set aside"]
    (aside,) = path.parent.glob("state.db.corrupt-*")
    assert aside.read_bytes().startswith(b"no database")
    async with open_modes(path.parent) as store:
        assert store.get("a") == 1


async def test_a_file_damaged_while_it_is_used_is_written_anew_from_memory(path, logged) -> None:
    file = SlowFile()
    path.parent.mkdir()
    path.write_bytes(b"")
    async with stored(file, path) as store:
        store.put("a", 1)
        await store.wait_durable("a")
        file.rows.clear()

        def fail_once() -> None:
            if file.error is not None:
                file.error, error = None, file.error
                raise error

        file._raise = fail_once  # type: ignore[method-assign]
        file.error = StateDamaged(path, "damaged")
        store.put("b", 2)
        await store.wait_durable("b")
    assert file.rows == {"a": 1, "b": 2}
    assert warnings(logged) == ["state file set aside"]


async def test_a_file_of_another_server_is_the_users_mistake(path, monkeypatch) -> None:
    monkeypatch.setattr("audio_server.state.file._BUSY_S", 0.01)
    async with open_modes(path.parent):
        with pytest.raises(ExceptionGroup) as raised:
            async with open_modes(path.parent):
                raise AssertionError("two servers have one file")
    assert raised.group_contains(StateUnusable, match="in use by another server", depth=1)


async def test_a_disk_that_fails_delays_no_name_and_gets_it_later(path, autojump_clock) -> None:
    file = SlowFile()
    file.names = {"a": "old", "b": "kept"}
    file.error = FULL
    async with stored(file, path) as store:
        store.inventory.put_name("a", "new")
        await store.inventory.wait_durable("a")
        file.error = None
        await until(lambda: file.names["a"] == "new")
        assert [store.inventory.names.get(device_id) for device_id in "ab"] == ["new", "kept"]
