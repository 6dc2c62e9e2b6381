"""The `audio-device` command.

Nothing heavy is imported until a device runs, so that `--help` is instant.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError

from audio_server.errors import SetupError, leaves
from audio_server.process.colours import can_draw
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say, say_error
from audio_server.process.standard_files import prepare_standard_files
from audio_server.process.system import require_posix
from audio_server.simulator.errors import UsageError
from audio_server.simulator.options import Options
from audio_server.simulator.script import HELP, Step, parse_script

if TYPE_CHECKING:
    from audio_server.simulator.scripted import Judged

KEPT, BROKEN, USAGE, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="audio-device",
    help="A stock device in the terminal: six LEDs, four buttons and sound.",
    help_epilogue=f"Steps of a script:\n\n```\n{HELP}\n```",
    help_formatter=HELP_FORMATTER,
    version=lambda: metadata.version("streaming-audio-server"),
    default_parameter=Parameter(negative=()),
)


@app.default
def device(options: Options | None = None) -> int:
    """Run a device: on this terminal, or by a script that judges the server.

    Parameters
    ----------
    options: Options
        The address of the server, and the outputs of the device.
    """
    from audio_server.process.logs import configure_logs

    # Faults of this program alone: a script judges the server's, and the end of a call says why.
    configure_logs(level="error")
    options = options or Options()
    if options.script is None:
        return _interactive(options)
    if options.devices > 1 and (options.record or options.pcm or options.play):
        raise UsageError("--record, --pcm and --play are for one device")
    return _scripted(options, parse_script(options.script))


def _interactive(options: Options) -> int:
    if not (can_draw(sys.stdout) or can_draw(sys.stderr)):
        raise UsageError("no terminal to draw on: use --script")
    from audio_server.simulator.interactive import run_interactive

    play = options.pcm is None if options.play is None else options.play
    say_error(*run_interactive(replace(options, play=play)))
    return KEPT


def _scripted(options: Options, steps: list[Step]) -> int:
    from audio_server.process.queued_stderr import queue_stderr
    from audio_server.simulator.scripted import run_script

    if options.trace:
        queue_stderr()  # a slow reader of the trace must not make the device late
    fleet = run_script(options, steps)
    (say_error if options.pcm == "-" else say)(*_verdict(fleet))
    return BROKEN if any(judged.violations for judged in fleet) else KEPT


def _verdict(fleet: Sequence[Judged]) -> Iterator[str]:
    for judged in fleet:
        yield from judged.report.lines(judged.violations, judged.notes, takes=len(fleet) == 1)
    count = sum(len(judged.violations) for judged in fleet)
    yield "contract kept" if not count else f"contract broken {count} times"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command line (default: the process's own) and leave by `SystemExit`.

    A fault of the user or of the environment is one line on standard error and status 2.
    """
    prepare_standard_files()
    require_posix("audio-device")
    try:
        status = app(argv, exit_on_error=False, print_error=False, result_action="return_value")
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        status = _status(error)
        if status is None:
            raise
    raise SystemExit(status or KEPT)


def _status(error: BaseException) -> int | None:
    """Return the line for an error; None for a bug of the program."""
    causes = list(leaves(error))
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return INTERRUPTED
    lines = [_line(cause) for cause in causes]
    if None in lines:
        return None
    say_error(f"audio-device: {lines[0]}")
    return USAGE


def _line(error: BaseException) -> str | None:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"Unknown argument: {error.unused_tokens[0]} (where the server is: --host, --port)"
    if isinstance(error, CycloptsError):
        error.verbose = False
        return " ".join(str(error).split())
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return str(error) if isinstance(error, (UsageError, SetupError)) else None
