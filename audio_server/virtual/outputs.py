"""Where a device's sound goes: a recording, a pipe, a player."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import trio

from audio_server.virtual.device import VirtualDevice
from audio_server.virtual.options import Options
from audio_server.virtual.record import Recorder
from audio_server.virtual.speaker import Speaker, Write, find_player, open_player, write_to

STDOUT = 1


@asynccontextmanager
async def open_outputs(device: VirtualDevice, options: Options) -> AsyncIterator[list[str]]:
    """Attach what the options ask for; gives a line for each. Files are complete when left.

    Raises `OSError` or `CannotRecord` for a file that cannot be written.
    """
    lines: list[str] = []
    async with AsyncExitStack() as stack:
        if options.record is not None:
            device.observers.append(stack.enter_context(Recorder(options.record)))
            lines.append(f"records to {options.record}")
        writes = await _voices(stack, options, lines)
        nursery = await stack.enter_async_context(trio.open_nursery())
        for write in writes:
            speaker = Speaker()
            device.observers.append(speaker)
            nursery.start_soon(speaker.run, write)
        yield lines
        nursery.cancel_scope.cancel()


async def _voices(stack: AsyncExitStack, options: Options, lines: list[str]) -> list[Write]:
    voices: list[Write] = []
    if options.pcm is not None:
        voices.append(write_to(_open(stack, options.pcm)))
        lines.append(f"sound goes to {'standard output' if options.pcm == '-' else options.pcm}")
    if options.play and (command := find_player()) is not None:
        voices.append(await stack.enter_async_context(open_player(command)))
        lines.append(f"sound goes to {command[0]}")
    return voices


def _open(stack: AsyncExitStack, path: str) -> int:
    if path == "-":
        return STDOUT
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    stack.callback(os.close, fd)
    return fd
