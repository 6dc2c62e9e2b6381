"""Text spoken by a command of the operator's, such as espeak-ng or piper.

The command gets the text on standard input and writes a sound file of any common format to standard
output. It runs without a shell, in a process group of its own, which is killed when it takes too
long, says too much, or is not wanted any longer.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from tempfile import gettempdir
from typing import Final

import structlog
import trio

from audio_server.clips.clip import Clip
from audio_server.clips.errors import ClipError
from audio_server.clips.sounds import sound_of
from audio_server.clips.spool import Spool

SPEECH_S: Final = 30.0
"""How long the command may take."""

SPEECH_MAX_BYTES: Final = 64 << 20
"""How much it may write: ten minutes of 48 kHz, 16 bit, mono."""

TEXT_MAX: Final = 2_000
"""Characters of a text."""

_ERRORS_MAX_BYTES: Final = 4_096
_READ_BYTES: Final = 1 << 16
_REAP_S: Final = 5.0

log = structlog.get_logger()


class CannotSpeak(ClipError):
    """The command is not there, or does not work: the fault of the server's settings."""


class SpeechFailed(ClipError):
    """The command made no sound of this text."""


async def speak(
    command: Sequence[str],
    text: str,
    *,
    decoding: trio.CapacityLimiter,
    loudness: int | None = None,
) -> Clip:
    """Return `text` as sound, at `loudness` LUFS if that is given. Raises `CannotSpeak`,
    `SpeechFailed` and other `ClipError`s.

    A place of `decoding` is taken while it is decoded. A cancel ends the command, and leaves
    nothing behind.
    """
    program, name = command[0], _title(text)
    try:
        spool = await trio.to_thread.run_sync(Spool, program, SPEECH_MAX_BYTES)
    except OSError as error:
        raise CannotSpeak(gettempdir(), f"cannot be written to ({error.strerror})") from error
    with spool:
        with trio.move_on_after(SPEECH_S) as patience:
            await _run(command, _plain(text).encode(), spool)
        if patience.cancelled_caught:
            raise SpeechFailed(program, f"has not spoken the text within {SPEECH_S:.0f} s")
        if not spool.size:
            raise SpeechFailed(program, "has made no sound of the text")
        await trio.to_thread.run_sync(spool.flush)
        async with decoding:
            clip = await sound_of(program, spool.file, loudness=loudness)
    return clip.called(name)


def _plain(text: str) -> str:
    """The text as one line: a voice has no use for control characters, and some commands speak
    only the first line."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split()) + "\n"


def _title(text: str) -> str:
    plain = _plain(text).strip()
    return plain if len(plain) <= 40 else f"{plain[:39]}…"


async def _run(command: Sequence[str], text: bytes, spool: Spool) -> None:
    try:
        process = await trio.lowlevel.open_process(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        reason = f"cannot be run ({error.strerror}); install it, or set tts_command"
        raise CannotSpeak(command[0], reason) from error
    errors = bytearray()
    failures: list[ClipError] = []
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_write, process, text)
            nursery.start_soon(_note_errors, process, errors)
            try:
                await _read(process, spool)
                status = await process.wait()
                nursery.cancel_scope.cancel()  # a child of it may hold the other pipes
            except ClipError as error:  # not out of the nursery, which would wrap it in a group
                failures.append(error)
                nursery.cancel_scope.cancel()
    finally:
        await _end(process)
    if failures:
        raise failures.pop()  # a name that stays would lead from the error back to this frame
    if status:
        said = errors.decode(errors="replace").strip().splitlines()[-1:]
        log.warning("speech command failed", command=command[0], status=status, said=said)
        raise SpeechFailed(command[0], f"failed with status {status}; the server's log has more")


async def _write(process: trio.Process, text: bytes) -> None:
    assert process.stdin is not None
    with suppress(trio.BrokenResourceError):  # it need not read all of the text
        async with process.stdin:
            await process.stdin.send_all(text)


async def _read(process: trio.Process, spool: Spool) -> None:
    assert process.stdout is not None
    while data := await process.stdout.receive_some(_READ_BYTES):
        await trio.to_thread.run_sync(spool.write, bytes(data))


async def _note_errors(process: trio.Process, errors: bytearray) -> None:
    """Keep the end of its messages, and read all: a full pipe would stop it."""
    assert process.stderr is not None
    while data := await process.stderr.receive_some(_READ_BYTES):
        errors += data
        del errors[:-_ERRORS_MAX_BYTES]


async def _end(process: trio.Process) -> None:
    """Kill what is left of the command and of its children."""
    with trio.move_on_after(_REAP_S, shield=True):
        with suppress(ProcessLookupError, PermissionError):  # its children, where it has ended
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                await pipe.aclose()
