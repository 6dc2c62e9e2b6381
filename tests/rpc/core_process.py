"""The process of `core_server`: grpcio is not even imported where trio runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = Path(__file__).with_name("core_server.py")


@contextmanager
def open_core_server(*arguments: str) -> Iterator[int]:
    """Run the server, with these arguments; its port."""
    command = [sys.executable, str(PROGRAM), *arguments]
    pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()
