"""Messages that a waiting handler takes without being woken."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from hyperframe.frame import DataFrame
from raw_peer import framed
from serving import packet, serving
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.wire.comms_pb2 import AudioPacket


class Taker:
    """A handler that takes at once what begins with `+`, and receives the rest."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.received: list[bytes] = []
        self.order: list[bytes] = []
        self.seen: list[bytes] = []
        self.scope: trio.CancelScope | None = None
        self._call: Any = None

    def take(self, data: bytes) -> bool:
        message: AudioPacket = self._call.decode(data)
        self.seen.append(message.data)
        if message.data == b"+fail":
            raise GRPCError(Status.DATA_LOSS, "as asked")
        if message.data.startswith(b"+"):
            self.taken.append(message.data)
            self.order.append(message.data)
            return True
        return False

    async def __call__(self, call: Any) -> None:
        self._call, self.scope = call, call.scope
        while (data := await call.recv_bytes(self.take)) is not None:
            message = call.decode(data)
            self.received.append(message.data)
            self.order.append(message.data)


def message(text: bytes) -> bytes:
    return AudioPacket(data=text).SerializeToString()


async def test_an_interrupt_comes_before_messages_that_wait(autojump_clock: MockClock) -> None:
    """Else a peer that sends all the time would put it off for ever."""
    seen: list[Any] = []

    async def handler(call: Any) -> None:
        await trio.sleep(1.0)
        call.interrupt(KeyError("as asked"))
        try:
            await call.recv_message()
        except KeyError:
            seen.append("interrupted")
        seen.append((await call.recv_message()).data)

    async with serving(handler) as served:
        await served.peer.open(1)
        await served.peer.message(1, message(b"1"))
        await trio.sleep(2.0)
    assert seen == ["interrupted", b"1"]


async def test_what_is_taken_at_once_is_not_received(autojump_clock: MockClock) -> None:
    taker = Taker()
    async with serving(taker) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        for text in (b"+1", b"2", b"+3", b"+4"):
            await served.peer.message(1, message(text))
            await wait_all_tasks_blocked()
        await served.peer.give(1, b"", end=True)
        assert await served.peer.status(1) == 0
    assert taker.taken == [b"+1", b"+3", b"+4"]
    assert taker.received == [b"2"]
    assert taker.seen == [b"+1", b"2", b"+3", b"+4"]


async def test_nothing_overtakes_what_could_not_be_taken(autojump_clock: MockClock) -> None:
    """Also where all of it comes in one frame, and in pieces of any size."""
    texts = [b"+1", b"+2", b"3", b"+4", b"5", b"+6"]
    wire = b"".join(framed(message(text)) for text in texts)
    for size in (1, 7, len(wire)):
        taker = Taker()
        async with serving(taker) as served:
            await served.peer.open(1)
            await wait_all_tasks_blocked()
            for at in range(0, len(wire), size):
                await served.peer.give(1, wire[at : at + size])
            await served.peer.give(1, b"", end=True)
            assert await served.peer.status(1) == 0
        assert taker.order == texts


@pytest.mark.parametrize("padding", [0, 200])
async def test_windows_are_given_back_for_what_is_taken_at_once(
    padding: int, autojump_clock: MockClock
) -> None:
    """Far more than a window, and nobody is ever woken."""
    taker = Taker()
    async with serving(taker) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        for _ in range(200):
            frame = DataFrame(1, data=framed(message(b"+" * 1000)), pad_length=padding)
            frame.flags.add("PADDED")
            await served.peer.send(frame)
            await wait_all_tasks_blocked()
        stream = served.connection.streams[1]
        assert stream._held_bytes < 4096
        await served.peer.give(1, b"", end=True)
        assert await served.peer.status(1) == 0
    assert len(taker.taken) == 200
    assert taker.received == []


@pytest.mark.parametrize(
    ("bad", "status"), [(message(b"+fail"), Status.DATA_LOSS), (b"\xff", Status.INTERNAL)]
)
async def test_what_fails_at_once_fails_its_own_call(
    bad: bytes, status: Status, autojump_clock: MockClock
) -> None:
    taker = Taker()
    async with serving(taker) as served:
        await served.peer.open(1)
        await served.peer.open(3)
        await wait_all_tasks_blocked()
        await served.peer.message(1, bad)
        assert await served.peer.status(1) == status.value
        await served.peer.message(3, message(b"+good"), end=True)
        assert await served.peer.status(3) == 0
    assert taker.taken == [b"+good"]


async def test_a_call_that_is_cancelled_takes_nothing_more(autojump_clock: MockClock) -> None:
    taker = Taker()
    async with serving(taker) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        stream = served.connection.streams[1]
        assert taker.scope is not None
        taker.scope.cancel()
        stream.feed(framed(message(b"+late")), len(framed(message(b"+late"))))
        await wait_all_tasks_blocked()
    assert taker.order == []


async def test_nothing_is_shown_to_who_does_not_ask(autojump_clock: MockClock) -> None:
    got: list[bytes] = []

    async def handler(call: Any) -> None:
        got.extend([message.data async for message in call])

    async with serving(handler) as served:
        await served.peer.open(1)
        await wait_all_tasks_blocked()
        await served.peer.message(1, packet(10), end=True)
        assert await served.peer.status(1) == 0
    assert len(got) == 1
