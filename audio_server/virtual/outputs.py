"""Where a device's sound goes: a recording, a pipe, a player."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias

import trio

from audio_server.virtual.device import VirtualDevice
from audio_server.virtual.options import Options
from audio_server.virtual.record import Recorder
from audio_server.virtual.speaker import Speaker, Write, find_player, open_player, write_to

STDOUT = 1


Say: TypeAlias = Callable[[str], None]
"""Takes a line about where sound goes."""


@asynccontextmanager
async def open_outputs(device: VirtualDevice, options: Options, say: Say) -> AsyncIterator[None]:
    """Attach what the options ask for, and say so. Files are complete when left.

    Raises `OSError` or `CannotRecord` for a file that cannot be written.
    """
    async with AsyncExitStack() as stack:
        if options.record is not None:
            device.observers.append(stack.enter_context(Recorder(options.record)))
            say(f"records to {options.record}")
        voices = await _voices(stack, options)
        nursery = await stack.enter_async_context(trio.open_nursery())
        for name, write in voices.items():
            speaker = Speaker()
            device.observers.append(speaker)
            nursery.start_soon(_speak, speaker, write, name, say)
        yield
        nursery.cancel_scope.cancel()


async def _speak(speaker: Speaker, write: Write, name: str, say: Say) -> None:
    say(f"sound goes to {name}")
    await speaker.run(write)
    say(f"{name} takes no more sound")


async def _voices(stack: AsyncExitStack, options: Options) -> dict[str, Write]:
    voices: dict[str, Write] = {}
    if options.pcm is not None:
        name = "standard output" if options.pcm == "-" else options.pcm
        voices[name] = write_to(_open(stack, options.pcm))
    if options.play and (command := find_player()) is not None:
        voices[command[0]] = await stack.enter_async_context(open_player(command))
    return voices


def _open(stack: AsyncExitStack, path: str) -> int:
    if path == "-":
        return STDOUT
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    stack.callback(os.close, fd)
    return fd
