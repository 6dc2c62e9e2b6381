"""A device in the hand: a terminal on one side, a server on a real socket on the other."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import trio
from rich.console import Console
from stub_server import StubService
from tcp_server import serving

from audio_server.process.terminal import single_keys
from audio_server.simulator.interactive import interact
from audio_server.simulator.options import Options
from audio_server.wire.comms_pb2 import DeviceEventResponse


class Counting(StubService):
    """Acknowledges events; at so many of them it does something."""

    def __init__(self, events: int, then: Callable[[], object]) -> None:
        super().__init__()
        self._left = events
        self._then = then

    async def EventStream(self, call: Any) -> None:  # noqa: N802
        async for event in call:
            self.heard.append(event.button_event.button_id)
            await call.send_message(DeviceEventResponse(ack=True))
            self._left -= 1
            if not self._left:
                self._then()


async def hold(
    service: StubService, terminal: tuple[int, int], keys: bytes
) -> tuple[list[str], str]:
    """Hold a device until it is let go of: what is said afterwards, and what was shown."""
    far, keyboard = terminal
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=24)
    with trio.fail_after(5), single_keys(keyboard):
        os.write(far, keys)
        async with serving(service) as port:
            options = Options(port=port, device_id="hall", play=False)
            said = await interact(options, keyboard, console)
    return said, screen.getvalue()


async def test_keys_become_presses_until_one_quits(terminal: tuple[int, int]) -> None:
    service = Counting(3, lambda: os.write(terminal[0], b"q"))
    said, shown = await hold(service, terminal, b"mps")
    assert [heard for heard in service.heard if isinstance(heard, int)] == [1, 3, 2]
    assert "audio-device" in shown
    assert "hall" in shown
    assert said[0].startswith("hall: 1 connection, 0 LED frames, 3 events")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_lets_go_of_it(terminal: tuple[int, int], number: signal.Signals) -> None:
    service = Counting(1, lambda: os.kill(os.getpid(), number))
    said, shown = await hold(service, terminal, b"p")
    assert said
    assert shown.endswith("\x1b[?25h\x1b[?1049l")
