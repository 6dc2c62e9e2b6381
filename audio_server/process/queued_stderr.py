"""Standard error that never blocks: for logs, tracebacks, warnings and progress bars alike."""

from __future__ import annotations

import atexit
import io
import sys
import threading

from audio_server.process.log_writer import LogWriter

LAST_LINES_S = 1.0
"""How long a process that ends waits for its last lines to be written."""


class QueuedStderr(io.TextIOBase):
    """Takes the place of `sys.stderr`, which is `beneath`; text goes on in whole lines.

    Thread-safe. `write` and `flush` never block and never raise.
    """

    def __init__(self, writer: LogWriter, beneath: io.TextIOBase) -> None:
        self.writer = writer
        self._beneath = beneath
        self._is_terminal = beneath.isatty()
        self._lock = threading.RLock()  # reentrant, as that of the writer is
        self._line = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As it is beneath."""
        return self._beneath.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """As it is beneath."""
        return self._beneath.errors

    def fileno(self) -> int:
        """The file that is written to in the end."""
        return self._beneath.fileno()

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return self._is_terminal

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, text: str) -> int:
        """Queue complete lines; the rest waits for more, or for `flush`."""
        with self._lock:
            whole, newline, self._line = (self._line + text).rpartition("\n")
            self._queue(whole + newline)
        return len(text)

    def flush(self) -> None:
        """Queue all that was written; it may be on its way still when this returns."""
        with self._lock:
            line, self._line = self._line, ""
            self._queue(line)

    def _queue(self, text: str) -> None:
        if text:
            self.writer.write(text.encode(self.encoding, self.errors or "backslashreplace"))

    def end(self) -> None:
        """Give the last lines the time that is theirs. A file that blocks holds no process."""
        self.flush()
        self.writer.flush(LAST_LINES_S)


def queue_stderr() -> QueuedStderr | None:
    """Write standard error from a thread, until the process ends.

    Returns None, and changes nothing, where it has been replaced already (tests, notebooks).
    """
    beneath = sys.stderr
    if beneath is not sys.__stderr__ or not isinstance(beneath, io.TextIOBase):
        return None
    stream = QueuedStderr(LogWriter(beneath.fileno()), beneath)
    sys.stderr = stream
    atexit.register(stream.end)
    return stream
