"""Clips on their way to a worker while it runs: through a real socket, in real files."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from worker_log import Log

from audio_server.clips.clip import Clip
from audio_server.clips.encoded_clip import Source
from audio_server.device.behaviour import Rules
from audio_server.device.registry import Devices
from audio_server.settings import Settings
from audio_server.wire.audio import SILENCE
from audio_server.workers.descriptor_passing import DescriptorSender, take_boot, take_clips
from audio_server.workers.worker_config import Editions, WorkerConfig, nameless_file, pack, unpack

BOOT = WorkerConfig(Settings(port=7), 2, (), confirms=True, registry_fd=5)


def clips_of(*names: str) -> list[Clip]:
    source = Source("flac", 44_100, 2, passed_through=False)
    return [Clip.from_packets(name, [SILENCE] * (1 + n), source) for n, name in enumerate(names)]


def names(clips: object) -> list[str]:
    assert isinstance(clips, list)
    return [clip.name for clip in clips]


@pytest.fixture
async def editions() -> AsyncIterator[Editions]:
    editions = Editions(BOOT)
    yield editions
    editions.close()


def test_what_is_packed_is_what_is_unpacked() -> None:
    boot = WorkerConfig(Settings(), 2, clips_of("a", "b"), confirms=True, registry_fd=5)
    with nameless_file() as fd:
        pack(boot, fd)
        assert unpack(fd) == boot


async def test_a_process_boots_with_the_newest_and_gets_what_is_newer(editions: Editions) -> None:
    handover = DescriptorSender()
    await editions.write(clips_of("old"), handover.give)
    await editions.write(clips_of("a"), handover.give)
    async with trio.open_nursery() as nursery:
        with handover.open() as end, end:
            nursery.start_soon(handover.run)
            boot = take_boot(end)
            assert (boot.settings.port, names(boot.clips)) == (7, ["a"])
            devices = Devices(boot.clips, Rules(1), 0.3)
            for clips in (clips_of("b"), clips_of("c", "d")):
                await editions.write(clips, handover.give)
            nursery.start_soon(take_clips, end, devices)
            await handover.wait_taken()
            assert names(devices.clips) == ["c", "d"]
            nursery.cancel_scope.cancel()
    with handover.open() as end, end:
        assert names(take_boot(end).clips) == ["c", "d"]


async def test_nobody_waits_for_a_process_that_has_gone(editions: Editions) -> None:
    handover = DescriptorSender()
    await editions.write(clips_of("a"), handover.give)
    await handover.wait_taken()
    async with trio.open_nursery() as nursery:
        with handover.open() as end:
            end.close()
            await editions.write(clips_of("b"), handover.give)
            await editions.write(clips_of("c"), handover.give)
        with handover.open() as end, end:
            await editions.write(clips_of("d"), handover.give)
            nursery.start_soon(handover.wait_taken)
            await wait_all_tasks_blocked()
    await handover.wait_taken()


async def test_a_worker_outlives_the_end_of_the_supervisor(editions: Editions) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        await take_clips(theirs, Devices(clips_of("a"), Rules(1), 0.3))


async def test_what_cannot_be_unpacked_is_logged_and_the_old_clips_go_on(log: Log) -> None:
    handover = DescriptorSender()
    devices = Devices(clips_of("old"), Rules(1), 0.3)
    with handover.open() as end, end, nameless_file() as empty:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(handover.run)
            nursery.start_soon(take_clips, end, devices)
            handover.give(empty)
            await handover.wait_taken()
            assert names(devices.clips) == ["old"]
            nursery.cancel_scope.cancel()
    assert log.find("clips not taken")


async def test_what_cannot_be_packed_changes_nothing(editions: Editions) -> None:
    handover = DescriptorSender()
    await editions.write(clips_of("a"), handover.give)
    with pytest.raises(TypeError):
        await editions.write(3, handover.give)  # type: ignore[arg-type]
    with handover.open() as end, end:
        assert names(take_boot(end).clips) == ["a"]
