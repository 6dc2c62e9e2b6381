"""The pipe that all workers write into: whole lines, in order, and nobody blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from audio_server.fleet.line_reader import LineReader
from audio_server.workers.messages import Changed, Ready, decode_up, encode
from audio_server.workers.uplink import Uplink

LINE = len(encode(Changed(1, "x" * 64, 2**60, 4)))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    for fd in (reading, writing):
        try:
            os.close(fd)
        except OSError:
            assert fd == reading


def fill(writing: int) -> int:
    """Write until the pipe is full; how many bytes it took."""
    size = 0
    os.set_blocking(writing, False)
    while True:
        try:
            size += os.write(writing, b"\n" * 4096)
        except BlockingIOError:
            return size


async def test_a_message_is_in_the_pipe_when_it_has_been_sent(pipe) -> None:
    uplink = Uplink(pipe[1])
    uplink.send(Ready(3))
    assert os.read(pipe[0], 100) == encode(Ready(3))
    await uplink.wait_written()


async def test_a_full_pipe_delays_but_keeps_the_order(pipe, autojump_clock) -> None:
    reading, writing = pipe
    size = fill(writing)
    uplink = Uplink(writing)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(uplink.run)
        for mode in range(5):
            uplink.send(Changed(1, "one", 10, mode))
        with trio.move_on_after(1) as waiting:
            await uplink.wait_written()
        assert waiting.cancelled_caught
        assert os.read(reading, size) == b"\n" * size
        await uplink.wait_written()
        uplink.send(Changed(1, "one", 10, 5))
        lines = LineReader().feed(os.read(reading, size))
        assert [decode_up(line).mode for line in lines] == [0, 1, 2, 3, 4, 5]
        nursery.cancel_scope.cancel()


async def test_it_waits_only_for_what_was_sent_before(pipe) -> None:
    reading, writing = pipe
    size = fill(writing)
    uplink = Uplink(writing)
    done = trio.Event()

    async def wait() -> None:
        await uplink.wait_written()
        done.set()

    async with trio.open_nursery() as nursery:
        uplink.send(Ready(1))
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        for _ in range(2 * size // LINE):  # more than the pipe takes
            uplink.send(Changed(1, "x" * 64, 2**60, 4))
        os.read(reading, size)
        nursery.start_soon(uplink.run)
        await done.wait()
        nursery.cancel_scope.cancel()


async def test_many_writers_never_mix_their_lines(pipe) -> None:
    """And a process that dies in between leaves no half of one."""
    reading, writing = pipe
    uplinks = [Uplink(os.dup(writing)) for _ in range(3)]
    total, lines, texts = 3 * 1000, LineReader(), []
    async with trio.open_nursery() as nursery:
        for number, uplink in enumerate(uplinks):
            nursery.start_soon(uplink.run)
            for mode in range(1000):
                uplink.send(Changed(number, "x" * 64, 2**60, mode))
        while len(texts) < total:
            await trio.lowlevel.wait_readable(reading)
            texts += lines.feed(os.read(reading, 5000))
        nursery.cancel_scope.cancel()
    for uplink in uplinks:
        os.close(uplink._fd)
    heard = [decode_up(text) for text in texts]
    for number in range(3):
        assert [m.mode for m in heard if m.worker == number] == list(range(1000))


async def test_nobody_waits_for_a_supervisor_that_is_gone(pipe) -> None:
    reading, writing = pipe
    fill(writing)
    uplink = Uplink(writing)
    uplink.send(Ready(1))
    os.close(reading)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(uplink.run)
        await uplink.wait_written()
        nursery.cancel_scope.cancel()
    uplink.send(Ready(1))
    await uplink.wait_written()


def test_a_line_that_might_be_torn_is_refused(pipe) -> None:
    with pytest.raises(ValueError, match="whole"):
        Uplink(pipe[1]).send(Changed(1, "x" * 600, 1, 1))
