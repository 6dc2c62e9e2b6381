"""The one place from which commands print: nothing leaves it that a terminal would obey.

Only our own styles do, which rich adds last. The linter forbids `print` everywhere else.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from audio_server.process.printable import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console


def say(*lines: object) -> None:
    """Print lines to standard output, at once: the reader may be a pipe that waits."""
    _write(sys.stdout, lines)


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of as many cells each, in columns that line up, for eyes and for `awk`."""
    from rich.cells import cell_len, set_cell_size

    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    say(*("  ".join(map(set_cell_size, row, widths)).rstrip() for row in cells))


def say_error(*lines: object) -> None:
    """Print lines to standard error. A file that refuses them changes nothing else."""
    try:
        _write(sys.stderr, lines)
    except OSError:
        forget(sys.stderr)


def forget(stream: TextIO) -> None:
    """Detach a stream from a file that refuses output.

    Python flushes it at exit, and would then fail once more, with a status of its own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say_json(document: object, *, indent: int | None = 2) -> None:
    """Print JSON, which escapes all that is not ASCII, to standard output, at once."""
    print(json.dumps(document, indent=indent), flush=True)


def say_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of a fault of ours; a `sys.excepthook`."""
    text = "".join(traceback.format_exception(kind, error, trace))
    say_error(*text.rstrip("\n").split("\n"))


def _write(stream: TextIO, lines: Iterable[object]) -> None:
    for line in lines:
        print(printable(line), file=stream)
    stream.flush()


def make_console(**options: Any) -> Console:
    """Return a console of rich that takes text as text: no markup, no emoji codes, no escapes.

    It prints to standard output, or with `stderr=True` to standard error.
    """
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

    class PlainTextConsole(Console):
        """Escapes the text on its way to the screen; rich's own controls are no text."""

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            for text, style, control in super().render(renderable, options):
                yield Segment(text if control else printable_lines(text), style, control)

    return PlainTextConsole(markup=False, emoji=False, highlight=False, **options)
