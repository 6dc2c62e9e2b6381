"""The relay between workers and registry, on streams in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_one_way_pair

from audio_server.device.mode_store import MemoryModeStore
from audio_server.fleet.line_reader import LineReader
from audio_server.workers.directory import Directory
from audio_server.workers.mailbox import Mailbox
from audio_server.workers.messages import (
    Changed,
    Claim,
    Down,
    Drain,
    Granted,
    Kept,
    Moved,
    Ready,
    decode_down,
    encode,
)
from audio_server.workers.router import Router


class FakeMember:
    """A worker that says nothing of its own."""

    def __init__(self) -> None:
        self.mailbox = Mailbox(max_bytes=1000)
        self.is_ready = False
        self.sender, self.receiver = memory_stream_one_way_pair()
        self._lines = LineReader()

    def on_ready(self) -> None:
        self.is_ready = True

    async def hears(self) -> list[Down]:
        data = await self.receiver.receive_some(10_000)
        return [decode_down(line) for line in self._lines.feed(bytes(data))]


class SlowStore(MemoryModeStore):
    """Keeps modes after a second."""

    async def wait_durable(self, device_id: str) -> None:
        await trio.sleep(1)


@pytest.fixture
def members() -> dict[int, FakeMember]:
    return {number: FakeMember() for number in (1, 2)}


@pytest.fixture
def wire() -> tuple[MemorySendStream, MemoryReceiveStream]:
    return memory_stream_one_way_pair()


@pytest.fixture
async def up(members, wire, nursery) -> AsyncIterator[MemorySendStream]:
    """What workers write into, with a relay at its other end."""
    for member in members.values():
        nursery.start_soon(member.mailbox.deliver, member.sender)
    router = Router(Directory(2), members)
    nursery.start_soon(router.run, wire[1])
    return wire[0]


async def test_a_device_moves(up, members) -> None:
    await up.send_all(encode(Claim(1, "one", 10)))
    assert await members[1].hears() == [Granted("one", 10, 10, 0)]
    await up.send_all(encode(Changed(1, "one", 10, 2)) + encode(Claim(2, "one", 20)))
    assert await members[1].hears() == [Moved("one", 20)]
    assert await members[2].hears() == [Granted("one", 20, 20, 2)]


async def test_lines_come_in_pieces(up, members) -> None:
    for byte in encode(Ready(2)) + encode(Claim(2, "one", 10)):
        await up.send_all(bytes([byte]))
    assert await members[2].hears() == [Granted("one", 10, 10, 0)]
    assert members[2].is_ready
    assert not members[1].is_ready


async def test_a_worker_that_hangs_blocks_nobody_and_is_found_out(up, members, nursery) -> None:
    async def never(_: MemorySendStream) -> None:
        await trio.sleep_forever()

    members[1].sender.send_all_hook = lambda: never(members[1].sender)
    for connection in range(1, 100, 2):  # to and fro
        await up.send_all(encode(Claim(1, "one", connection)))
        await up.send_all(encode(Claim(2, "one", connection + 1)))
    with trio.fail_after(1):
        granted = 0
        while granted < 50:
            granted += sum(isinstance(news, Granted) for news in await members[2].hears())
        await members[1].mailbox.wait_full()


async def test_a_store_that_takes_time_confirms(members, wire, nursery, autojump_clock) -> None:
    for member in members.values():
        nursery.start_soon(member.mailbox.deliver, member.sender)
    store = SlowStore()
    router = Router(Directory(2, store=store), members, store)
    nursery.start_soon(router.run, wire[1])
    await wire[0].send_all(encode(Changed(1, "one", 10, 2)) + encode(Claim(2, "one", 20)))
    assert await members[2].hears() == [Granted("one", 20, 20, 2)]
    assert await members[1].hears() == [Moved("one", 20)]
    assert trio.current_time() == 0
    assert await members[1].hears() == [Kept("one", 10)]
    assert trio.current_time() == 1


async def test_delivery_ends_when_the_worker_has_gone() -> None:
    sender, receiver = memory_stream_one_way_pair()
    await receiver.aclose()
    mailbox = Mailbox()
    mailbox.send(Drain())
    await mailbox.deliver(sender)
