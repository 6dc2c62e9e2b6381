"""A load process and the pipe that it is told over."""

from __future__ import annotations

import multiprocessing
import time

from benchmarks.load import Load
from benchmarks.orders import Connect, Connected, Measure, Quit


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


def test_a_deadline_that_passes_later_answers_no_other_order() -> None:
    """As that of a first connect, which was answered long before, while more devices join."""
    ours, theirs = multiprocessing.Pipe()
    load = Load(theirs, ("127.0.0.1", 1))
    first = Connect([], deadline=time.monotonic())
    ours.send(first)
    load._obey()
    assert ours.recv() == Connected(0)
    ours.send(Connect(["late"], deadline=time.monotonic() + 60, spread_s=60))
    load._obey()
    load._do_what_is_due()
    assert not ours.poll()
