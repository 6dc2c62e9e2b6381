"""kill -9: the devices that were seen are in the inventory after it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio
from test_crash import MODE, server

from audio_server.rpc.client import open_channel
from audio_server.state.backup import copy_of_state
from audio_server.state.file import StateFile
from audio_server.state.record import Record
from audio_server.wire.comms_grpc import DeviceServiceStub

STAY, LEAVE = 10, 10


async def connect(port: int, device_id: str, stack: AsyncExitStack) -> None:
    """Connect a device that presses Mode once, for as long as the stack is open."""
    channel = await stack.enter_async_context(open_channel("127.0.0.1", port))
    stub = DeviceServiceStub(channel)  # type: ignore[arg-type]
    call = await stack.enter_async_context(stub.EventStream.open(metadata={"device_id": device_id}))
    await call.send_message(MODE)
    await call.recv_message()


async def kept(folder: Path, is_enough: Callable[[Record], bool]) -> Record:
    """Return the state of a server that runs, once it is enough."""
    while True:
        (folder / "copy.db").write_bytes(
            await trio.to_thread.run_sync(copy_of_state, folder / "data" / "state.db")
        )
        with StateFile(folder / "copy.db") as file:
            record = file.read()
        if is_enough(record):
            return record
        await trio.sleep(0.2)


@pytest.mark.parametrize("flags", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_devices_that_were_seen_are_known_after_kill_9(flags, tmp_path: Path) -> None:
    stay = [f"stay-{number}" for number in range(STAY)]
    leave = [f"leave-{number}" for number in range(LEAVE)]
    with trio.fail_after(60):
        async with server(tmp_path, *flags) as (first, port), AsyncExitStack() as stack:
            for device_id in stay:
                await connect(port, device_id, stack)
            for device_id in leave:
                async with AsyncExitStack() as visit:
                    await connect(port, device_id, visit)
            before = await kept(tmp_path, lambda record: len(record.entries) == STAY + LEAVE)
            first.end(signal.SIGKILL)
        with StateFile(tmp_path / "data" / "state.db") as file:
            found = file.read()
        assert found.entries.keys() == {*stay, *leave} == before.entries.keys()
        for device_id in leave:
            entry = found.entries[device_id]
            assert entry is not None
            assert (entry.connections, entry.mode) == (1, 1)
            assert (entry.address or "").startswith("127.0.0.1:")
        async with server(tmp_path, *flags) as (second, port), AsyncExitStack() as stack:
            await connect(port, stay[0], stack)

            def is_counted(record: Record) -> bool:
                entry = record.entries[stay[0]]
                return entry is not None and entry.connections == 2

            after = await kept(tmp_path, is_counted)
            assert after.entries.keys() == found.entries.keys()
            was, now = found.entries[stay[0]], after.entries[stay[0]]
            assert was is not None
            assert now is not None
            assert (now.first_seen, now.last_seen > was.last_seen) == (was.first_seen, True)
            assert second.end(signal.SIGTERM) == 0
