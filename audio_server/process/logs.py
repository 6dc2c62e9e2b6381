"""Logs: lines for eyes on a terminal, JSON lines elsewhere, always on standard error.

Modules say `log = structlog.get_logger()` and log an event with keys; a line about a device
carries its `device_id`, a line about a peer its address as `peer`. Logs of libraries through the
standard library come out the same way.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import structlog
from structlog.processors import ExceptionRenderer, format_exc_info
from structlog.typing import ExcInfo, Processor

from audio_server.process.colours import shows_colours
from audio_server.process.log_limiter import FaultLimiter
from audio_server.process.log_writer import DescribeLost
from audio_server.process.printable import printable, printable_lines
from audio_server.process.queued_stderr import QueuedStderr
from audio_server.settings.values import LogFormat, LogLevel

Event = MutableMapping[str, Any]

VALUE_MAX_CHARS = 1000
"""Characters of a value that are logged; the rest is seldom news, and a line stays readable."""


class LogStream:
    """The present `sys.stderr`, for a server that outlives the readers of its logs.

    A progress bar takes its place for a while, so that lines appear above the bar.
    """

    def write(self, text: str) -> int:
        """Write as much as possible; never raises."""
        with suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        """Flush as much as possible; never raises."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logs(format: LogFormat = "auto", level: LogLevel = "info") -> None:
    """Say how this process logs; the last call counts."""
    human = format == "human" or (format == "auto" and sys.stderr.isatty())
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=not human),
        *((_cut, format_exc_info) if level == "debug" else (ExceptionRenderer(_compact), _cut)),
    ]
    renderer: Processor = structlog.processors.JSONRenderer(default=repr)
    if human:
        shared.append(_make_printable)
        colours = shows_colours(sys.stderr)
        renderer = structlog.dev.ConsoleRenderer(colors=colours, sort_keys=False)
    limiter = FaultLimiter()
    structlog.configure(
        processors=[limiter, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(LogStream()),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    _configure_standard_library(shared, renderer, threshold, limiter)
    if isinstance(sys.stderr, QueuedStderr):
        sys.stderr.writer.describe_lost = _lost_lines([*shared, renderer])


def _lost_lines(processors: list[Processor]) -> DescribeLost:
    """The writer's own event: it has to be a line before it is logged."""
    context = copy_context()  # the writer's thread has none of its own

    def describe(lines: int) -> bytes:
        event: Any = {"event": "log lines lost", "lines": lines}
        for process in processors:
            event = context.run(process, None, "warning", event)
        return f"{event}\n".encode(errors="backslashreplace")

    return describe


def _configure_standard_library(
    shared: list[Processor], renderer: Processor, threshold: int, limiter: FaultLimiter
) -> None:
    """Log libraries from warnings on; their lines below that are not for an operator."""
    handler = logging.StreamHandler(LogStream())
    handler.addFilter(limiter)
    unwrap = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[unwrap, renderer])
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)
    logging.captureWarnings(True)


def _cut(_: Any, __: str, event: Event) -> Event:
    """A value may be all that a peer has sent."""
    for key, value in event.items():
        if isinstance(value, str) and len(value) > VALUE_MAX_CHARS:
            event[key] = f"{value[:VALUE_MAX_CHARS]}... ({len(value):,} characters)"
    return event


def _make_printable(_: Any, __: str, event: Event) -> Event:
    """Escape values: they are from peers, files and libraries, and a terminal obeys control
    codes."""
    return {printable(key): _shown(key, value) for key, value in event.items()}


def _shown(key: str, value: object) -> object:
    if not isinstance(value, str):
        return value  # the renderer shows its `repr`, which has escapes of its own
    return printable_lines(value) if key == "exception" else printable(value)


def _compact(exc_info: ExcInfo) -> str:
    """Return an exception as one short line: each cause, and our last line of code in it."""
    return " ".join("; ".join(_cause_lines(exc_info[1])).splitlines())


def _cause_lines(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [line for inner in error.exceptions for line in _cause_lines(inner)]
    frames = traceback.extract_tb(error.__traceback__)
    where = next((f for f in reversed(frames) if "audio_server" in f.filename), None)
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if where is not None:
        said += f" ({where.filename.rpartition('audio_server')[2].lstrip('/')}:{where.lineno})"
    return [said]
