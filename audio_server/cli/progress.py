"""A progress bar while clips are prepared, where there is a terminal to show it on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from audio_server.process.colours import can_draw
from audio_server.process.output import make_console


@contextmanager
def clip_progress() -> Iterator[Callable[[int, int], None] | None]:
    """Give the `progress` of `load_clips`; `None` where standard error is no terminal.

    The bar shows up with the first call and is gone when the block is left, or all is done.
    """
    if not can_draw(sys.stderr):
        yield None
        return
    from rich.progress import Progress

    with Progress(console=make_console(stderr=True), transient=True) as bar:
        task = bar.add_task("Preparing clips", total=None)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            if done == total:
                bar.stop()

        yield show
