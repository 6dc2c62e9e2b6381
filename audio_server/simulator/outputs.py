"""Where a device's sound goes: a recording, a pipe, a player."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TypeAlias

import trio

from audio_server.simulator.device import VirtualDevice
from audio_server.simulator.options import Options
from audio_server.simulator.record import Recorder
from audio_server.simulator.speaker import Speaker, find_players, open_player, write_to

STDOUT = 1


Say: TypeAlias = Callable[[str], None]
"""Takes a line about where sound goes."""


@asynccontextmanager
async def open_outputs(device: VirtualDevice, options: Options, say: Say) -> AsyncIterator[None]:
    """Attach the outputs of the options, and describe them. Files are complete at the end.

    Raises `OSError` or `CannotRecord` for a file that cannot be written.
    """
    async with AsyncExitStack() as stack:
        if options.record is not None:
            device.observers.append(stack.enter_context(Recorder(options.record)))
            say(f"records to {options.record}")
        nursery = await stack.enter_async_context(trio.open_nursery())
        if (path := options.pcm) is not None:
            nursery.start_soon(_write, device, _open(stack, path), path, say)
        if options.play:
            nursery.start_soon(_play, device, say)
        yield
        nursery.cancel_scope.cancel()


async def _write(device: VirtualDevice, fd: int, path: str, say: Say) -> None:
    name = "standard output" if path == "-" else path
    with _speaker(device) as speaker:
        say(f"sound goes to {name}")
        await speaker.run(write_to(fd))
        say(f"{name} takes no more sound")


async def _play(device: VirtualDevice, say: Say) -> None:
    """Play through the first player that is installed and does not give up (no sound card)."""
    for command in find_players():
        async with open_player(command) as write:
            with _speaker(device) as speaker:
                say(f"sound goes to {command[0]}")
                await speaker.run(write)
                say(f"{command[0]} takes no more sound")
    say("no player to hear it with: see --pcm and --record")


@contextmanager
def _speaker(device: VirtualDevice) -> Iterator[Speaker]:
    """A speaker that listens to the device for as long as it has a voice, and no longer."""
    speaker = Speaker()
    device.observers.append(speaker)
    try:
        yield speaker
    finally:
        device.observers.remove(speaker)


def _open(stack: AsyncExitStack, path: str) -> int:
    if path == "-":
        return STDOUT
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    stack.callback(os.close, fd)
    return fd
