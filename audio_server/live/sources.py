"""Channels with a source of their own: a process reads and encodes each, for as long as the server
runs, and is started again when it ends.

The process is `audio-server live` without a server: it opens a stream of the web, again and again,
and writes Opus in Ogg to a pipe. Nothing that comes from the web is decoded in this process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from types import MappingProxyType
from typing import NoReturn

import structlog
import trio
from trio_util import AsyncValue

from audio_server.clips.ogg_opus import NotPlainOpus, OpusStream
from audio_server.device.live_channel import ChannelBusy, LiveChannel
from audio_server.live.pace import Pace

READER = "audio_server.cli.live_reader"

GONE_S = 1.0
"""A source that gives nothing for so long has broken off: the patience of the channel begins."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
STEADY_S = 60.0
"""A process that lived so long was well: the next pause is the first one again."""

END_S = 2.0
READ_BYTES = 64 * 1024
SAID_BYTES = 2000

log = structlog.get_logger()


@asynccontextmanager
async def reading(
    channels: Sequence[LiveChannel],
    urls: Mapping[str, str],
    hosts: Sequence[str] = (),
    turns: Mapping[str, AsyncValue[bool]] = MappingProxyType({}),
) -> AsyncIterator[None]:
    """Read the URL of each channel that has one, for the block; where there are `turns` for a
    channel, while it is this node's. `hosts` are others to which it may lead."""
    async with trio.open_nursery() as nursery:
        for channel in channels:
            if (url := urls.get(channel.name)) is not None:
                source = Source(channel, url, hosts=hosts)
                if (turn := turns.get(channel.name)) is not None:
                    nursery.start_soon(_run_in_turn, source, turn)
                else:
                    nursery.start_soon(source.run)
        yield
        nursery.cancel_scope.cancel()


async def _run_in_turn(source: Source, turn: AsyncValue[bool]) -> NoReturn:
    while True:
        await turn.wait_value(True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.run)
            await turn.wait_value(False)
            nursery.cancel_scope.cancel()


class Source:
    """The source of one channel. `command` starts its process, which is given the URL and the hosts
    on standard input, in a line, and lives no longer than that is open."""

    def __init__(
        self,
        channel: LiveChannel,
        url: str,
        command: Sequence[str] = (sys.executable, "-m", READER),
        *,
        hosts: Sequence[str] = (),
    ) -> None:
        self._channel = channel
        self._line = " ".join((url, *hosts)).encode() + b"\n"
        self._command = command
        self._said = b""

    async def run(self) -> None:
        """Keep a process for ever. A cancel ends it."""
        pause_s = FIRST_PAUSE_S
        while True:
            begun = trio.current_time()
            reason = await self._try_process()
            if trio.current_time() - begun >= STEADY_S:
                pause_s = FIRST_PAUSE_S
            log.warning(
                "source ended", channel=self._channel.name, reason=reason, next_in_s=pause_s
            )
            await trio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _try_process(self) -> str:
        """Run a process to its end; return why it has ended, in a line. This is the edge where
        faults of a source end."""
        try:
            return await self._run_process()
        except OSError as error:
            return error.strerror or "it cannot be started"
        except Exception:
            log.exception("source failed", channel=self._channel.name)
            return "a fault of the server"

    async def _run_process(self) -> str:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONSAFEPATH": "1"}
        process = await trio.lowlevel.open_process(
            list(self._command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the server
        )
        is_opus, self._said = True, b""
        try:
            assert process.stdin is not None
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, process)
                with suppress(trio.BrokenResourceError):  # it has ended already
                    await process.stdin.send_all(self._line)
                try:
                    await self._hear(process)
                except NotPlainOpus:
                    is_opus, self._said = False, b"it gave no Opus"
                    process.kill()
                except ChannelBusy:
                    is_opus, self._said = False, b"another node has the channel"
                    process.kill()
                with trio.move_on_after(END_S):
                    await process.wait()
                nursery.cancel_scope.cancel()
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
        if is_opus and not process.returncode:
            return "its sound has ended"
        lines = self._said.decode(errors="replace").split("\n")
        return next(
            (line for line in reversed(lines) if line.strip()), f"status {process.returncode}"
        )

    async def _listen(self, process: trio.Process) -> None:
        """Log what the process says, line by line, and keep the last of it."""
        assert process.stderr is not None
        async for data in process.stderr:
            self._said = (self._said + bytes(data))[-SAID_BYTES:]

    async def _hear(self, process: trio.Process) -> None:
        """Put the packets into the channel, whenever some come, until the end of the pipe."""
        assert process.stdout is not None
        stream, pace = OpusStream(), Pace()
        with ExitStack() as sending:
            is_sending = False
            while True:
                data = b""
                with trio.move_on_after(GONE_S if is_sending else float("inf")) as waiting:
                    data = bytes(await process.stdout.receive_some(READ_BYTES))
                if waiting.cancelled_caught:
                    sending.close()
                    is_sending = False
                    continue
                if not data:
                    return
                for packet in stream.push(data):
                    await pace.next()
                    if not is_sending:
                        is_sending = self._begin(sending)
                    if is_sending:  # else another sender has the channel
                        self._channel.put(packet)

    def _begin(self, sending: ExitStack) -> bool:
        """Be the sender of the channel, unless there is another one."""
        block: AbstractContextManager[None] = self._channel.sending()
        try:
            sending.enter_context(block)
        except ChannelBusy:
            return False
        log.info("live sound begins", channel=self._channel.name, source=True)
        return True
