"""Records live channels while sound is sent to them.

    recording
    └─ a channel   writes every two seconds; waits for sound in between

Packets wait in memory for their write, within a bound: where the disk is slow or full, sound is
missing from the recording, and never from a device.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import structlog
import trio

from audio_server.device.live_channel import LiveChannel
from audio_server.live.recordings import RecordingFile, Recordings

WRITE_S = 2.0
"""Interval of the writes, each of which is synced: as much sound is lost in a power cut."""

WAITING_MAX = 3000
"""Packets that wait for the disk: a minute."""

RETRY_S = 30.0
"""How long after a fault of the disk the next recording begins."""

TRIM_S = 3600.0
"""How often recordings that are too old are looked for while none is written."""

END_S = 2.0
"""How long a stopping server waits for the last write."""

CLOSE_S = 0.5
"""How long the close of a file is waited for, after a cancel too."""

HEAD_BYTES, PAGE_BYTES = 256, 7
"""Room in a file for its heads, and for the part of a page that belongs to a packet."""

THREADS = 4
"""Writes at the same time: a disk that hangs takes no more threads."""

T = TypeVar("T")

log = structlog.get_logger()


@asynccontextmanager
async def recording(
    channels: Sequence[LiveChannel], recordings: Recordings, packets_max: int
) -> AsyncIterator[None]:
    """Record channels for the block; a recording has `packets_max`, and goes on in the next one.
    At its end all of them are ended properly, if the disk answers within `END_S`."""
    threads = trio.CapacityLimiter(THREADS)
    stop = trio.Event()
    recorders = [Recorder(one, recordings, packets_max, stop, threads) for one in channels]
    async with trio.open_nursery() as nursery:
        await _quietly(_in_thread(threads, recordings.mend))
        for channel, recorder in zip(channels, recorders, strict=True):
            channel.subscribe(recorder)
            nursery.start_soon(recorder.run)
        trimming = trio.CancelScope()
        nursery.start_soon(_trim, recordings, threads, trimming)
        try:
            yield
        finally:
            stop.set()
            trimming.cancel()
            for channel, recorder in zip(channels, recorders, strict=True):
                channel.unsubscribe(recorder)
                recorder.wake()
            nursery.cancel_scope.deadline = trio.current_time() + END_S


async def _trim(
    recordings: Recordings, threads: trio.CapacityLimiter, trimming: trio.CancelScope
) -> None:
    with trimming:
        while True:
            await _quietly(_in_thread(threads, recordings.has_room, 0))
            await trio.sleep(TRIM_S)


async def _quietly(work: Awaitable[object]) -> None:
    """Await work on the folder; an error is logged, and met again where sound is written."""
    try:
        await work
    except OSError as error:
        log.warning("recordings cannot be read", reason=str(error))


async def _in_thread(threads: trio.CapacityLimiter, work: Callable[..., T], *args: object) -> T:
    run = partial(work, *args)
    return await trio.to_thread.run_sync(run, abandon_on_cancel=True, limiter=threads)


class Recorder:
    """A `ChannelListener` that records its channel, while `run` runs until `stop`."""

    def __init__(
        self,
        channel: LiveChannel,
        recordings: Recordings,
        packets_max: int,
        stop: trio.Event,
        threads: trio.CapacityLimiter,
    ) -> None:
        self._channel = channel
        self._recordings = recordings
        self._packets_max = packets_max
        self._stop = stop
        self._threads = threads
        self._waiting: list[bytes] = []
        self._missing = 0
        self._some = trio.Event()

    def began(self) -> None:
        """As `ChannelListener`: nothing, until there are packets."""

    def ended(self) -> None:
        """As `ChannelListener`: nothing, since the sender may come back."""

    def put(self, packet: bytes) -> None:
        """Have a packet recorded."""
        if len(self._waiting) == WAITING_MAX:
            self._missing += 1
            return
        self._waiting.append(packet)
        if not self._some.is_set():
            self._some.set()

    def wake(self) -> None:
        """Have `run` look at `stop`."""
        self._some.set()

    async def run(self) -> None:
        """Record each programme, until `stop`. Faults of the disk are logged and end a recording,
        not the channel."""
        while True:
            await self._some.wait()
            if self._stop.is_set():
                return
            try:
                await self._record()
            except OSError as error:
                log.error(
                    "recording failed", channel=self._channel.name, reason=error.strerror or "?"
                )
                with trio.move_on_after(RETRY_S):
                    await self._stop.wait()
                self._waiting.clear()
                self._rest()

    def _rest(self) -> None:
        if not self._stop.is_set():
            self._some = trio.Event()

    async def _record(self) -> None:
        """Write one recording, from the first packet to the end of the programme, or to the bounds
        of a recording."""
        if not await self._has_room():
            self._waiting.clear()
            raise OSError(0, "all recordings together have no room for it: see --record-mib")
        file = await _in_thread(self._threads, self._recordings.begin, self._channel.name)
        name = file.name
        self._recordings.running = {*self._recordings.running, name}
        log.info("recording begins", channel=self._channel.name, recording=name)
        try:
            await self._write_all(file)
        finally:
            self._recordings.running = frozenset(self._recordings.running) - {name}
            with trio.move_on_after(CLOSE_S, shield=True):  # on a disk that hangs it waits too
                await _in_thread(self._threads, file.close)
            seconds = round(file.packets * 0.02, 1)
            log.info("recording ends", channel=self._channel.name, recording=name, seconds=seconds)

    async def _write_all(self, file: RecordingFile) -> None:
        while True:
            with trio.move_on_after(WRITE_S):
                await self._stop.wait()
            self._note_missing()
            room = self._packets_max - file.packets
            if not await self._has_room():
                room = 1  # for the end of this recording, which then may give way to the next one
            if len(self._waiting) >= room or self._is_over():
                packets = self._take(min(len(self._waiting), room))
                await _in_thread(self._threads, partial(file.write, packets, is_end=True))
                if not self._waiting:
                    self._rest()
                return
            # The last packet waits, so that the last page of the file is never an empty one.
            packets = self._take(len(self._waiting) - 1)
            if packets:
                await _in_thread(self._threads, file.write, packets)

    def _is_over(self) -> bool:
        channel = self._channel
        return self._stop.is_set() or channel.is_over or channel.is_elsewhere

    def _take(self, count: int) -> list[bytes]:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    async def _has_room(self) -> bool:
        in_pages = HEAD_BYTES + PAGE_BYTES * len(self._waiting)
        more_bytes = in_pages + sum(map(len, self._waiting))
        return await _in_thread(self._threads, self._recordings.has_room, more_bytes)

    def _note_missing(self) -> None:
        if self._missing:
            log.warning("recording lacks sound", channel=self._channel.name, packets=self._missing)
            self._missing = 0
