"""A server as a process of its own, whose standard files are as a test wants them."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from free_ports import free_port

from audio_server.cli.check import EMPTY_SETTINGS, PREFACE

SERVES_WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0


class Standing:
    """A server that serves; `port` is where its devices are."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def answers(self) -> bool:
        """Whether it answers HTTP/2 within a second."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(PREFACE + EMPTY_SETTINGS)
                return bool(connection.recv(9))
        except OSError:
            return False

    def offend(self, times: int) -> None:
        """Say what is no HTTP/2, so that there is something to be logged."""
        for _ in range(times):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                peer.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                peer.recv(100)

    def stop(self) -> int:
        """Tell it to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def standing(*flags: str, **files: int | None) -> Iterator[Standing]:
    """A server with `files` (stdin, stdout, stderr) as `subprocess.Popen` takes them; one that is
    None is closed."""
    port = free_port()
    closed = [f"{number}>&-" for number, name in enumerate(("stdin", "stdout", "stderr"))
              if files.get(name, 0) is None]  # fmt: skip
    command = [sys.executable, "-m", "audio_server", "--port", str(port), "--http", "off"]
    command += ["--data", "off", *flags]
    shell = ["sh", "-c", f'exec "$@" {" ".join(closed)}', "sh", *command]
    with subprocess.Popen(shell, **{k: v for k, v in files.items() if v is not None}) as process:  # type: ignore[call-overload]
        server = Standing(process, port)
        try:
            give_up_at = time.monotonic() + SERVES_WITHIN_S
            while not server.answers():
                assert process.poll() is None
                assert time.monotonic() < give_up_at
                time.sleep(0.05)
            yield server
        finally:
            process.kill()


@contextmanager
def stalled_terminal() -> Iterator[int]:
    """A terminal whose output was stopped, as Ctrl-S does."""
    far, near = pty.openpty()
    termios.tcflow(near, termios.TCOOFF)
    try:
        yield near
    finally:
        os.close(far)
        os.close(near)


@contextmanager
def stalled_pipe() -> Iterator[int]:
    """The end to write to of a pipe that is full, and that nothing reads."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"#" * 65536):
            pass
    os.set_blocking(writing, True)
    try:
        yield writing
    finally:
        os.close(reading)
        os.close(writing)
