"""Modes and names off the loop: batches, and who waits for what."""

from __future__ import annotations

import trio
from slow_file import SlowFile, stored
from trio.testing import wait_all_tasks_blocked

from audio_server.state.file import StateFile
from audio_server.state.modes import open_modes


async def test_modes_outlive_the_store(path) -> None:
    async with open_modes(path.parent) as store:
        store.put("a", 3)
        await store.wait_durable("a")
        store.put("b", 4)
    async with open_modes(path.parent) as store:
        assert (store.get("a"), store.get("b"), store.get("c")) == (3, 4, 0)


async def test_without_a_folder_there_is_no_store() -> None:
    async with open_modes(None) as store:
        assert store is None


async def test_what_is_waited_for_is_in_the_file(path) -> None:
    async with open_modes(path.parent) as store:
        store.put("a", 3)
        await store.wait_durable("a")
        copy = path.with_name("copy.db")
        copy.write_bytes(path.read_bytes())
        path.with_name("copy.db-wal").write_bytes(path.with_name("state.db-wal").read_bytes())
        with StateFile(copy) as file:
            assert file.read().modes == {"a": 3}


async def test_nobody_waits_where_nothing_changed(path) -> None:
    async with stored(SlowFile(), path) as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.wait_durable("a")  # would raise Cancelled if it yielded
        assert not scope.cancelled_caught


async def test_presses_during_a_write_share_the_next_one(path) -> None:
    file = SlowFile()
    file.is_slow = True
    kept: list[str] = []

    async def press(device_id: str, mode: int) -> None:
        store.put(device_id, mode)
        await store.wait_durable(device_id)
        kept.append(device_id)

    async with stored(file, path) as store, trio.open_nursery() as nursery:
        nursery.start_soon(press, "a", 1)
        await trio.to_thread.run_sync(file.begun.acquire)
        for number in range(50):
            nursery.start_soon(press, f"b{number}", number)
        nursery.start_soon(press, "a", 2)
        await wait_all_tasks_blocked()
        assert kept == []
        file.is_slow = False
        file.may_write.release()
    assert [len(batch) for batch in file.writes] == [1, 51]
    assert file.rows["a"] == 2
    assert len(kept) == 52


async def test_a_cancelled_wait_loses_nothing(path) -> None:
    file = SlowFile()
    file.is_slow = True
    async with stored(file, path) as store:
        store.put("a", 1)
        await trio.to_thread.run_sync(file.begun.acquire)
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.wait_durable("a")
        assert scope.cancelled_caught
        file.is_slow = False
        file.may_write.release()
        await store.wait_durable("a")
    assert file.rows == {"a": 1}


async def test_stopping_in_the_middle_of_a_write_writes_all(path) -> None:
    file = SlowFile()
    file.is_slow = True
    async with stored(file, path) as store:
        store.put("a", 1)
        await trio.to_thread.run_sync(file.begun.acquire)
        store.put("b", 2)
        file.is_slow = False
        file.may_write.release()
    assert file.rows == {"a": 1, "b": 2}


async def test_names_outlive_the_store(path) -> None:
    async with open_modes(path.parent) as store:
        store.inventory.put_name("a", "Küche")
        store.put("a", 3)
        await store.inventory.wait_durable("a")
        store.inventory.put_name("b", "hall")
        store.inventory.put_name("c", "door")
        store.inventory.put_name("c", None)
    async with open_modes(path.parent) as store:
        assert [store.inventory.names.get(device_id) for device_id in "abc"] == [
            "Küche",
            "hall",
            None,
        ]
        assert store.get("a") == 3
        store.inventory.put_name("b", None)
    async with open_modes(path.parent) as store:
        assert (store.inventory.names.get("a"), store.inventory.names.get("b")) == ("Küche", None)


async def test_a_name_waits_for_its_own_batch(path) -> None:
    file = SlowFile()
    file.is_slow = True
    async with stored(file, path) as store, trio.open_nursery() as nursery:
        store.inventory.put_name("a", "x")
        await trio.to_thread.run_sync(file.begun.acquire)
        await store.wait_durable("a")  # its mode has not changed
        nursery.start_soon(store.inventory.wait_durable, "a")
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        file.is_slow = False
        file.may_write.release()
    assert file.names == {"a": "x"}
