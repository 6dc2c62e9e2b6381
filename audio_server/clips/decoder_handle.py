"""A decoder process as its server sees it: started, asked, killed and waited for."""

from __future__ import annotations

import array
import os
import site
import socket
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO, Final

import trio

from audio_server.clips.records import BadRecord, Kind, RecordReader

EXIT_S: Final = 2.0
"""How long a process that has closed its end may take to exit, so that it says why."""

REAP_S: Final = 5.0
"""How long the system may take to end a process that was killed."""

_COMMAND: Final = (sys.executable, "-P", "-m", "audio_server.clips.decoder_process")
_READ_BYTES: Final = 1 << 16


class DecoderLost(Exception):
    """The process has ended, or closed its end."""


class DecoderProcess:
    """A process that has been started; made by `start_process`. To be ended by `end`."""

    def __init__(self, process: trio.Process, channel: trio.socket.SocketType) -> None:
        self.is_ready = False
        self._process = process
        self._channel = channel
        self._records = RecordReader()

    async def request(self, job: bytes, file: BinaryIO) -> None:
        """Have a job done on a file, which the process inherits. Raises `DecoderLost`."""
        rights = array.array("i", [file.fileno()])
        try:
            await self._channel.sendmsg([job], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError as error:
            raise DecoderLost from error

    async def read(self) -> list[tuple[Kind, bytes]]:
        """The next records, at least one. Raises `DecoderLost` and `BadRecord`."""
        while True:
            try:
                data = await self._channel.recv(_READ_BYTES)
            except OSError as error:
                raise DecoderLost from error
            if not data:
                raise DecoderLost
            if records := self._checked(list(self._records.push(data))):
                return records

    def _checked(self, records: list[tuple[Kind, bytes]]) -> list[tuple[Kind, bytes]]:
        """The records without the first one, which says that the process is ready."""
        if self.is_ready or not records:
            return records
        if records[0][0] is not Kind.READY:
            raise BadRecord
        self.is_ready = True
        return records[1:]

    async def end(self, grace_s: float = 0.0) -> int | None:
        """Kill the process unless it ends within `grace_s`; return its status, negative for a
        signal. Does so when cancelled too.

        None where the system has not ended it within `REAP_S`.
        """
        self._channel.close()
        with trio.move_on_after(grace_s, shield=True):
            await self._process.wait()
        with trio.move_on_after(REAP_S, shield=True):
            self._process.kill()
            await self._process.wait()
            assert self._process.stdin is not None
            await self._process.stdin.aclose()
        return self._process.returncode


async def start_process() -> DecoderProcess:
    """Start a process. Raises `OSError`."""
    near, far = socket.socketpair()
    channel = trio.socket.from_stdlib_socket(near)
    try:
        with far:
            process = await trio.lowlevel.open_process(
                _COMMAND,
                stdin=subprocess.PIPE,  # its end tells the process that this one is gone
                stdout=far,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,  # Ctrl-C is for this process
            )
    except BaseException:
        channel.close()
        raise
    return DecoderProcess(process, channel)


def _environment() -> dict[str, str]:
    """Only where Python finds this package, if not by itself."""
    inherited = {key: os.environ[key] for key in ("PYTHONHOME",) if key in os.environ}
    places = [str(Path(__file__).resolve().parents[2])]
    if places[0] in site.getsitepackages():
        places = []
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places += [str(Path(place).absolute()) for place in given if place]
    return inherited | ({"PYTHONPATH": os.pathsep.join(places)} if places else {})
