"""Readers take their bytes in turns, so that a storm of handshakes is many short turns."""

from __future__ import annotations

from collections import Counter

import trio
import trio.testing

from audio_server.web.connection import AT_ONCE
from audio_server.web.in_turn import InTurn


async def test_a_storm_of_handshakes_is_many_short_turns() -> None:
    turns = trio.CapacityLimiter(AT_ONCE)
    turn = 0
    served: list[int] = []

    async def count() -> None:
        nonlocal turn
        while True:
            await trio.lowlevel.checkpoint()
            turn += 1

    async def read(stream: InTurn) -> None:
        assert await stream.receive_some() == b"hello"
        served.append(turn)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        async with trio.open_nursery() as readers:
            for _ in range(5 * AT_ONCE):
                near, far = trio.testing.memory_stream_pair()
                await near.send_all(b"hello")
                readers.start_soon(read, InTurn(far, turns))
        nursery.cancel_scope.cancel()
    assert max(Counter(served).values()) <= AT_ONCE
