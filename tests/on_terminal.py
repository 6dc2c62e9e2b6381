"""A command on a terminal, and whoever sits at it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PATIENCE_S = 20.0


class Terminal:
    """What has been `shown` so far is kept, control sequences and all."""

    def __init__(self, process: subprocess.Popen[bytes], far: int) -> None:
        self.process = process
        self.shown = b""
        self._far = far
        self._seen = 0

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._far, keys.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def read_until(self, text: str) -> None:
        """Look until a text is shown behind the last that was looked for. Fails if none comes."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.shown.find(text.encode(), self._seen)) < 0:
            ready, _, _ = select.select([self._far], [], [], deadline - time.monotonic())
            assert ready, self.shown
            assert self._read(), self.shown
        self._seen = found + len(text.encode())

    def wait(self) -> int:
        """Look until the command has ended; its exit status."""
        while self._read():
            pass
        return self.process.wait()

    def _read(self) -> bool:
        try:
            self.shown += (data := os.read(self._far, 4096))
        except OSError:  # nobody is at the near end any more
            return False
        return bool(data)


@contextmanager
def on_terminal(
    command: Sequence[str], *, columns: int = 100, lines: int = 24
) -> Iterator[Terminal]:
    """Run a command on a terminal of this size, of its own; it is killed in the end."""
    far, near = pty.openpty()
    fcntl.ioctl(near, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    # Whoever runs the tests may have a size; readline puts it where Python does not see it.
    sizeless = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    try:
        with subprocess.Popen(
            command,
            env=sizeless,
            stdin=near,
            stdout=near,
            stderr=near,
            start_new_session=True,
        ) as process:
            os.close(near)
            try:
                yield Terminal(process, far)
            finally:
                process.kill()
    finally:
        os.close(far)
