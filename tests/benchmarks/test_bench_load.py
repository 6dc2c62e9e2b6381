"""A load process and the pipe that it is told over."""

from __future__ import annotations

import multiprocessing
import time

from benchmarks.load import Load
from benchmarks.orders import Measure, Quit


def test_a_load_process_ends_when_nobody_hears_it_any_more() -> None:
    """Its benchmark gave it up or was interrupted before it could report: no fault of its."""
    ours, theirs = multiprocessing.Pipe()
    now = time.monotonic()
    ours.send(Measure(now - 1, now))
    ours.close()
    Load(theirs, ("127.0.0.1", 1)).run()


def test_a_load_process_ends_when_it_is_told_to() -> None:
    ours, theirs = multiprocessing.Pipe()
    ours.send(Quit())
    Load(theirs, ("127.0.0.1", 1)).run()
    assert not ours.poll()
