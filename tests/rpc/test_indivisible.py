"""A message is indivisible: whatever is cancelled wherever, whole messages arrive, in order."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio
from grpclib.const import Cardinality
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import ECHO, framed
from serving import echo, service, serving
from trio.testing import MockClock

from audio_server.rpc.client import channel_over
from audio_server.rpc.server_connection import serve_connection
from audio_server.wire.comms_pb2 import AudioPacket

Sizes = list[int]
Ticks = list[int | None]

sizes = st.lists(st.integers(0, 200), min_size=1, max_size=8)
ticks = st.lists(st.none() | st.integers(0, 12), min_size=1, max_size=16)
grants = st.lists(st.integers(1, 80), min_size=1, max_size=16)


def run(main: Callable[[], Awaitable[None]]) -> None:
    trio.run(main, clock=MockClock(autojump_threshold=0))


async def tick(times: int) -> None:
    for _ in range(times):
        await trio.lowlevel.checkpoint()


async def attempt(act: Callable[[], Awaitable[Any]], cancel_after: int | None) -> tuple[bool, Any]:
    """Whether `act` was done before a cancel that comes some ticks later, and its result."""
    done, result = False, None
    async with trio.open_nursery() as nursery:

        async def cancel() -> None:
            await tick(cancel_after or 0)
            nursery.cancel_scope.cancel()

        if cancel_after is not None:
            nursery.start_soon(cancel)
        result = await act()
        done = True
        nursery.cancel_scope.cancel()
    return done, result


def numbered(number: int, size: int) -> AudioPacket:
    return AudioPacket(data=bytes([number]) * size + b"!" + bytes([number]))


def cut(wire: bytes) -> list[bytes]:
    """The messages of a stream, which must be whole."""
    messages = []
    while wire:
        compressed, size = struct.unpack(">BI", wire[:5])
        assert compressed == 0
        assert len(wire) >= 5 + size
        messages.append(wire[5 : 5 + size])
        wire = wire[5 + size :]
    return messages


@settings(deadline=None)
@given(sizes, ticks, grants, st.integers(0, 300))
def test_what_was_sent_arrives_whole_and_what_was_cancelled_not_at_all(
    sizes: Sizes, ticks: Ticks, grants: list[int], window: int
) -> None:
    sent: list[bytes] = []

    async def handler(call: Any) -> None:
        for number, size in enumerate(sizes):
            message = numbered(number, size)
            cancel_after = ticks[number % len(ticks)]
            done, _ = await attempt(partial(call.send_message, message), cancel_after)
            if done:
                sent.append(message.SerializeToString())

    async def main() -> None:
        async with serving(handler, settings={4: window}) as served:
            await served.peer.open(1)
            for size in grants:
                await tick(size % 5)
                await served.peer.widen(1, size)
            await served.peer.widen(1, 10_000)
            assert await served.peer.status(1) == 0
            assert cut(bytes(served.peer.data.get(1, b""))) == sent

    run(main)


@settings(deadline=None)
@given(sizes, ticks, grants)
def test_what_is_received_is_whole_and_nothing_is_lost(
    sizes: Sizes, ticks: Ticks, pieces: list[int]
) -> None:
    messages = [numbered(number, size) for number, size in enumerate(sizes)]
    got: list[AudioPacket] = []

    async def handler(call: Any) -> None:
        attempts = 0
        while True:
            cancel_after = ticks[attempts] if attempts < len(ticks) else None
            attempts += 1
            done, message = await attempt(call.recv_message, cancel_after)
            if done and message is None:
                return
            if done:
                got.append(message)

    async def main() -> None:
        wire = b"".join(framed(message.SerializeToString()) for message in messages)
        async with serving(handler) as served:
            await served.peer.open(1)
            step = 0
            while wire:
                size = pieces[step % len(pieces)]
                await served.peer.give(1, wire[:size])
                await tick(size % 4)
                wire = wire[size:]
                step += 1
            await served.peer.give(1, b"", end=True)
            assert await served.peer.status(1) == 0

    run(main)
    assert got == messages


@settings(deadline=None)
@given(sizes, ticks, grants)
def test_both_halves_of_ours_keep_messages_whole(
    sizes: Sizes, ticks: Ticks, grants: list[int]
) -> None:
    """Our client against our server, with both sides cancelled at will."""
    sent: list[AudioPacket] = []
    got: list[AudioPacket] = []

    async def main() -> None:
        ours, theirs = trio.testing.memory_stream_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_connection, service(echo), theirs)
            async with channel_over(ours) as channel:
                call = channel.request(
                    ECHO, Cardinality.STREAM_STREAM, AudioPacket, AudioPacket, metadata={}
                )
                async with call:
                    await exchange(call)

    async def exchange(call: Any) -> None:
        for number, size in enumerate(sizes):
            message = numbered(number, size)
            done, _ = await attempt(partial(call.send_message, message), ticks[number % len(ticks)])
            if done:
                sent.append(message)
            done, message = await attempt(call.recv_message, grants[number % len(grants)])
            if done:
                got.append(message)
        await call.end()
        async for message in call:
            got.append(message)

    run(main)
    assert got == sent
