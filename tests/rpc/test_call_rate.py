"""Calls that are legal one by one and end at once: the server takes its time for them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
from offending import beside_a_healthy_device
from raw_peer import request_headers
from trio.testing import MockClock


async def at_once(call: Any) -> None:
    """Nothing to say."""


async def _call(served: Any, numbers: range) -> None:
    """One call after the other, each answered."""
    peer = served.peer
    for number in numbers:
        await peer.send(peer.headers_frame(2 * number + 1, request_headers(), end=True))
        assert await peer.status(2 * number + 1) == 0


async def test_calls_come_at_a_rate_and_none_is_lost(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(at_once) as served:
        start = trio.current_time()
        await _call(served, range(108))  # eight are not counted, a hundred may come together
        assert trio.current_time() - start < 0.2
        await _call(served, range(108, 208))
        assert trio.current_time() - start == pytest.approx(10, abs=0.5)
        assert len(served.peer.headers) == 208


async def test_a_pause_over_calls_are_taken_as_before(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(at_once) as served:
        await _call(served, range(150))
        await trio.sleep(15)
        start = trio.current_time()
        await _call(served, range(150, 160))
        assert trio.current_time() - start < 0.1


async def test_many_more_at_once_than_the_rate_are_an_attack(autojump_clock: MockClock) -> None:
    """Not to be read for long would also mean not to notice that the peer has gone."""
    async with beside_a_healthy_device(at_once) as served:
        start = trio.current_time()
        for number in range(150):
            with suppress(trio.BrokenResourceError):
                await served.peer.open(2 * number + 1, end=True)
        code, reason = await served.peer.ended_with()
        assert (code, reason) == (11, b"too many calls")
        assert trio.current_time() - start < 1


async def test_who_goes_while_he_has_to_wait_is_soon_gone(autojump_clock: MockClock) -> None:
    async with beside_a_healthy_device(at_once) as served:
        await _call(served, range(108))
        for number in range(108, 125):
            await served.peer.open(2 * number + 1, end=True)
        await served.peer.transport.aclose()
        with trio.fail_after(3):
            await served.ended.wait()
