"""Sound out of a device, in real time: to a pipe, a file or a player.

The output is the sound that a listener would hear, with the quiet between takes, so that a player
at the other end never runs dry and never falls behind.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import trio

from audio_server.clips.opus_decoder import QUIET, OpusDecoder
from audio_server.simulator.events import PACKET_S, Disconnected, Event, PacketReceived

Write: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Takes PCM; raises `OSError` or `trio.BrokenResourceError` when its reader is gone."""

_HANGS_S = 0.2

PLAYERS = (
    "paplay --raw --format=s16le --rate=48000 --channels=1 --latency-msec=60",
    "pw-cat --playback --raw --format=s16 --rate=48000 --channels=1 --latency=60ms -",
    "aplay -q -t raw -f S16_LE -r 48000 -c 1 --buffer-time=100000 -",
    "sox -q -t raw -e signed -b 16 -r 48000 -c 1 - -d",
    "ffplay -nodisp -loglevel quiet -fflags nobuffer -f s16le -ar 48000 -ch_layout mono -i -",
)
"""Commands that play s16le 48 kHz mono from their standard input, the best first."""


class Speaker:
    """An observer that plays the packets of events; `run` is its voice."""

    def __init__(self) -> None:
        self._decoder = OpusDecoder()
        self._waiting: deque[bytes] = deque()

    def __call__(self, at_s: float, event: Event) -> None:
        if isinstance(event, PacketReceived):
            self._waiting.append(self._decoder.decode(event.data))
        elif isinstance(event, Disconnected):
            self._waiting.clear()

    async def run(self, write: Write) -> None:
        """Write 20 ms every 20 ms until cancelled, or until the reader is gone."""
        due_s = trio.current_time()
        while True:
            await trio.sleep_until(due_s)
            try:
                await write(self._waiting.popleft() if self._waiting else QUIET)
            except (OSError, trio.BrokenResourceError):
                return
            due_s = max(due_s + PACKET_S, trio.current_time() - _HANGS_S)


def write_to(fd: int) -> Write:
    """Write to a file descriptor of any kind, in a thread that a cancel leaves behind."""

    async def write(pcm: bytes) -> None:
        while pcm:
            pcm = pcm[await trio.to_thread.run_sync(os.write, fd, pcm, abandon_on_cancel=True) :]

    return write


def find_players() -> list[list[str]]:
    """The command lines of all players that are installed here, the best first."""
    commands = (line.split() for line in PLAYERS)
    return [command for command in commands if shutil.which(command[0])]


@asynccontextmanager
async def open_player(command: list[str]) -> AsyncIterator[Write]:
    """Run a player for as long as the block lasts. Raises `OSError` if it cannot be started."""
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    try:
        yield process.stdin.send_all
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.stdin.aclose()
            await process.wait()
