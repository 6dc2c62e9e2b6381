"""Handshakes of many clients as many short turns of the loop."""

from __future__ import annotations

import trio


class InTurn(trio.abc.Stream):
    """A transport whose readers take their bytes in turns.

    When a thousand devices come back at once their handshakes would be one long turn of the loop;
    so they are many short ones, with sound and timers in between.
    """

    def __init__(self, transport: trio.abc.Stream, turns: trio.CapacityLimiter) -> None:
        self._transport = transport
        self._turns = turns

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As the transport's, in a turn of the loop that has few others."""
        data = await self._transport.receive_some(max_bytes)
        async with self._turns:
            await trio.lowlevel.checkpoint()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the transport's."""
        await self._transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the transport's."""
        await self._transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """As the transport's."""
        await self._transport.aclose()
