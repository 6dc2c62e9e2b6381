"""The writer's queue: what a file that stalls, refuses or comes back makes of lines."""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from audio_server.process import log_writer
from audio_server.process.log_writer import LogWriter

SOON_S = 10.0

Read = Callable[[], bytes]


class Pipe:
    """A pipe of 4 KiB; `stall` fills it, and `read` takes what is in it."""

    def __init__(self, stack: ExitStack) -> None:
        self.reading, self.writing = os.pipe()
        self.is_open = True
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)
        stack.callback(self._close)

    def stall(self) -> None:
        os.set_blocking(self.writing, False)
        with suppress(BlockingIOError):
            while os.write(self.writing, b"#"):
                pass
        os.set_blocking(self.writing, True)

    def read(self) -> bytes:
        return os.read(self.reading, 1 << 16).replace(b"#", b"")

    def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            data += self.read()
        return data

    def leave(self) -> None:
        os.close(self.reading)
        self.is_open = False

    def _close(self) -> None:
        os.close(self.writing)
        if self.is_open:
            os.close(self.reading)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    with ExitStack() as stack:
        yield Pipe(stack)


@pytest.fixture
def make_writer(pipe: Pipe) -> Iterator[Callable[..., LogWriter]]:
    writers: list[LogWriter] = []

    def make(**bounds: int) -> LogWriter:
        writer = LogWriter(pipe.writing, **bounds)
        writer.describe_lost = b"lost %d\n".__mod__
        writers.append(writer)
        return writer

    yield make
    for writer in writers:
        writer.close()
        if pipe.is_open:
            os.set_blocking(pipe.reading, False)
            while not writer.flush(0.01):
                with suppress(BlockingIOError):
                    pipe.read()


def test_lines_arrive_in_order(pipe, make_writer) -> None:
    writer = make_writer()
    for number in range(100):
        writer.write(b"line %d\n" % number)
    assert writer.flush(SOON_S)
    assert pipe.read() == b"".join(b"line %d\n" % number for number in range(100))


def test_lines_that_come_close_together_share_a_wake(pipe, make_writer, monkeypatch) -> None:
    monkeypatch.setattr(log_writer, "REST_S", SOON_S)
    writer = make_writer()
    writer.write(b"first\n")
    assert pipe.read_until(b"first\n") == b"first\n"
    while writer._is_writing:
        time.sleep(0.001)
    writer.write(b"second\n")
    assert select.select([pipe.reading], [], [], 0.05)[0] == []
    writer.write(b"third\n")
    began = time.monotonic()
    assert writer.flush(SOON_S)
    assert time.monotonic() - began < SOON_S / 2
    assert pipe.read() == b"second\nthird\n"


def test_a_queue_that_fills_ends_the_rest(pipe, make_writer, monkeypatch) -> None:
    monkeypatch.setattr(log_writer, "REST_S", 1e6)
    writer = make_writer(lines_max=100)
    for number in range(300):
        writer.write(b"line %d\n" % number)
        while len(writer._queue) > 60:
            time.sleep(0.001)
    assert writer.flush(SOON_S)
    assert pipe.read() == b"".join(b"line %d\n" % number for number in range(300))


def test_a_stalled_pipe_delays_nothing_and_what_fits_is_kept(pipe, make_writer) -> None:
    writer = make_writer()
    pipe.stall()
    began = time.monotonic()
    for number in range(1000):
        writer.write(b"line %d\n" % number)
    assert not writer.flush(0.05)
    assert time.monotonic() - began < SOON_S
    assert pipe.read_until(b"line 999\n") == b"".join(b"line %d\n" % n for n in range(1000))


@pytest.mark.parametrize("bounds", [{"lines_max": 3}, {"bytes_max": 3 * len(b"line 0\n")}])
def test_what_does_not_fit_is_counted_where_it_is_missing(pipe, make_writer, bounds) -> None:
    writer = make_writer(**bounds)
    pipe.stall()
    writer.write(b"stuck\n")
    while writer._queue:  # until the thread has it in its hands
        time.sleep(0.001)
    for number in range(10):
        writer.write(b"line %d\n" % number)
    assert pipe.read_until(b"lost 7\n") == b"stuck\nline 0\nline 1\nline 2\nlost 7\n"
    writer.write(b"line 10\n")
    assert pipe.read_until(b"\n") == b"line 10\n"


def test_a_line_that_could_never_fit_is_lost_alone(pipe, make_writer) -> None:
    writer = make_writer(bytes_max=100)
    writer.write(b"x" * 200 + b"\n")
    writer.write(b"line\n")
    assert pipe.read_until(b"line\n") == b"lost 1\nline\n"


def test_a_long_line_stays_whole(pipe, make_writer) -> None:
    writer = make_writer()
    writer.write(b"x" * 10_000 + b"\n")
    writer.write(b"line\n")
    assert pipe.read_until(b"line\n") == b"x" * 10_000 + b"\nline\n"


def test_a_reader_that_is_gone_ends_nothing(pipe, make_writer) -> None:
    writer = make_writer()
    pipe.leave()
    for _ in range(10):
        writer.write(b"line\n")
        assert writer.flush(SOON_S)


def test_a_file_that_takes_lines_again_is_told_how_many_it_refused(tmp_path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    first = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(fifo, os.O_WRONLY)
    writer = LogWriter(writing)
    writer.describe_lost = b"lost %d\n".__mod__
    os.close(first)
    for _ in range(3):
        writer.write(b"line\n")
        assert writer.flush(SOON_S)
    second = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer.write(b"again\n")
    assert writer.flush(SOON_S)
    assert os.read(second, 100) == b"lost 3\nagain\n"
    writer.close()
    os.close(second)
    os.close(writing)


def test_a_pipe_that_somebody_has_made_non_blocking_loses_nothing(pipe, make_writer) -> None:
    writer = make_writer()
    pipe.stall()
    os.set_blocking(pipe.writing, False)
    lines = b"".join(b"line %d\n" % number for number in range(2000))
    writer.write(lines)
    writer.write(b"end\n")
    assert pipe.read_until(b"end\n") == lines + b"end\n"
