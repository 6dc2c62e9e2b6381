"""A device that is switched off in the instant in which its connection has opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from audio_server.simulator.device import VirtualDevice


class NoCalls:
    """A channel on which no call may be opened."""

    def request(self, *args: object, **kwargs: object) -> None:
        raise AssertionError("a call was opened")


async def test_no_call_is_opened_then() -> None:
    @asynccontextmanager
    async def open_channel() -> AsyncIterator[Any]:
        device.switch_off()
        yield NoCalls()

    device = VirtualDevice("x", open_channel)
    async with trio.open_nursery() as nursery:
        await nursery.start(device.run)
        device.switch_on()
        with trio.fail_after(5):
            await device.wait_off()
        nursery.cancel_scope.cancel()
