"""The `audio-device` command.

Nothing heavy is imported until a device runs, so that `--help` is instant.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from audio_server.cli.help import HELP_FORMATTER
from audio_server.virtual.errors import UsageError
from audio_server.virtual.options import Options
from audio_server.virtual.script import HELP, Step, parse_script

if TYPE_CHECKING:
    from audio_server.virtual.scripted import Judged

KEPT, BROKEN, USAGE, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="audio-device",
    help="A stock device in the terminal: six LEDs, four buttons and sound.",
    help_epilogue=f"Steps of a script:\n\n```\n{HELP}\n```",
    help_formatter=HELP_FORMATTER,
    version=lambda: metadata.version("streaming-audio-server"),
    default_parameter=Parameter(negative=()),
)


def _valid_id(_: Any, value: str | None) -> None:
    if value is not None and not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", value):
        raise ValueError("a device id is 1 to 64 characters of A-Z a-z 0-9 . _ : -")


def _valid_target(_: Any, value: str | None) -> None:
    if value is not None and (not value or (value.startswith("-") and value != "-")):
        raise ValueError("a file is needed, or - for standard output")


Port = Annotated[int, Parameter(validator=Number(gte=1, lte=65535))]
Milliseconds = Annotated[int, Parameter(validator=Number(gte=0, lte=60_000))]
Count = Annotated[int, Parameter(validator=Number(gte=1, lte=1000))]


@app.default
def device(
    *,
    host: str = "127.0.0.1",
    port: Port = 50051,
    device_id: Annotated[str | None, Parameter(name="--id", validator=_valid_id)] = None,
    script: str | None = None,
    record: Path | None = None,
    pcm: Annotated[
        str | None, Parameter(allow_leading_hyphen=True, validator=_valid_target)
    ] = None,
    play: Annotated[bool | None, Parameter(negative="--no-play")] = None,
    devices: Count = 1,
    seed: int = 0,
    modes: Annotated[int | None, Parameter(validator=Number(gte=5))] = None,
    lead_ms: Milliseconds = 300,
    tolerance_ms: Milliseconds = 100,
    whole_takes: bool = False,
    trace: bool = False,
) -> int:
    """Run a device: on this terminal, or by a script that judges the server.

    Parameters
    ----------
    host: str
        Address or name of the server.
    port: int
        Port of the server.
    device_id: str
        Who the device is; the server keeps the mode of each. Default: a new one every time.
    script: str
        Steps to take without a terminal, such as "connect mode play wait:2 stop". Exit status 0:
        the server kept the contract; 1: it broke it; 2: wrong usage, or nobody answered.
    record: Path
        Keep the sound: FILE.opus bit for bit as received, or FILE.wav.
    pcm: str
        Write the sound in real time, s16le 48 kHz mono, to a file or - (standard output).
    play: bool
        Play the sound through what is installed (paplay, pw-cat, aplay, sox, ffplay). Default:
        on a terminal, unless --pcm is given.
    devices: int
        With --script: so many devices at once, ID-1, ID-2 and so on.
    seed: int
        With --script: what random steps begin with.
    modes: int
        How many clips the server has, to judge where modes wrap. Default: found out.
    lead_ms: int
        The lead that the server is set to, to judge its pace.
    tolerance_ms: int
        How much the network may add to any time.
    whole_takes: bool
        Read nothing while a take plays that has come whole, as the reference client does.
    trace: bool
        With --script: print what happens to standard error.
    """
    options = Options(
        host=host, port=port, device_id=device_id or f"virtual-{os.getpid()}", devices=devices,
        seed=seed, record=record, pcm=pcm, play=play, whole_takes=whole_takes, modes=modes,
        lead_ms=lead_ms, tolerance_ms=tolerance_ms,
    )  # fmt: skip
    if script is None:
        return _interactive(options)
    if devices > 1 and (record or pcm or play):
        raise UsageError("--record, --pcm and --play are for one device")
    return _scripted(options, parse_script(script), trace=trace)


def _interactive(options: Options) -> int:
    if not (sys.stdout.isatty() or sys.stderr.isatty()):
        raise UsageError("there is no terminal: use --script")
    from audio_server.virtual.interactive import run_interactive

    play = options.pcm is None if options.play is None else options.play
    for line in run_interactive(replace(options, play=play)):
        print(line, file=sys.stderr)
    return KEPT


def _scripted(options: Options, steps: list[Step], *, trace: bool) -> int:
    from audio_server.virtual.scripted import run_script

    fleet = run_script(options, steps, trace=trace)
    out = sys.stderr if options.pcm == "-" else sys.stdout
    for line in _verdict(fleet):
        print(line, file=out)
    return BROKEN if any(judged.violations for judged in fleet) else KEPT


def _verdict(fleet: Sequence[Judged]) -> Iterator[str]:
    for judged in fleet:
        yield from judged.report.lines(judged.violations, takes=len(fleet) == 1)
    count = sum(len(judged.violations) for judged in fleet)
    yield "contract kept" if not count else f"contract broken {count} times"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command line (default: the process's own) and leave by `SystemExit`.

    What is the user's or the environment's fault is one line on standard error and status 2.
    """
    try:
        status = app(argv, exit_on_error=False, print_error=False, result_action="return_value")
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:
        status = _status(error)
        if status is None:
            raise
    raise SystemExit(status or KEPT)


def _status(error: BaseException) -> int | None:
    """Say what went wrong; None for what is a bug of ours."""
    causes = list(_leaves(error))
    if any(isinstance(cause, KeyboardInterrupt) for cause in causes):
        return INTERRUPTED
    lines = [_line(cause) for cause in causes]
    if None in lines:
        return None
    print(f"audio-device: {lines[0]}", file=sys.stderr)
    return USAGE


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _line(error: BaseException) -> str | None:
    if isinstance(error, CycloptsError):
        error.verbose = False
        return " ".join(str(error).split())
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}" if error.filename else reason
    return str(error) if isinstance(error, UsageError) else None
