"""A real engine (`redis-server` of Debian), as a process of the test's own."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hiredis

READY_S = 20.0


def take_port() -> int:
    """A port of loopback that was free a moment ago, and no client will get."""
    from free_ports import free_port

    return free_port()


class EngineProcess:
    """An engine in a folder of its own, on a port that it keeps when it is started again."""

    def __init__(self, folder: Path, *options: str, program: str = "redis-server") -> None:
        self.port = take_port()
        self.folder = folder
        self._options = options
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Return when it answers."""
        settings = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        settings += ["--save", "", "--enable-debug-command", "yes", *self._options, *options]
        with (self.folder / "engine.log").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, *settings], stdout=output, stderr=output
            )
        until = time.monotonic() + READY_S
        while not self._answers():
            assert time.monotonic() < until, (self.folder / "engine.log").read_text()
            assert self._process.poll() is None, (self.folder / "engine.log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with Blocking(self.port) as client:
                return not isinstance(client.ask("PING"), Exception) or True
        except OSError:
            return False

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()
        self._process = None

    def hang(self) -> None:
        """Have it do nothing, and hold its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it do what it has missed."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def ask(self, *words: str | int) -> Any:
        """The answer to a command."""
        with Blocking(self.port) as client:
            return client.ask(*words)


class Blocking:
    """A connection that blocks: for tests, outside of any loop."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._parser = hiredis.Reader(encoding="utf-8")

    def __enter__(self) -> Blocking:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()

    def ask(self, *words: str | int) -> Any:
        """The answer to a command; an error is returned."""
        self._sock.sendall(hiredis.pack_command(words))
        while (answer := self._parser.gets()) is False:
            data = self._sock.recv(65536)
            if not data:
                raise OSError("the engine has closed the connection")
            self._parser.feed(data)
        return answer


@contextmanager
def open_engine(*options: str) -> Iterator[EngineProcess]:
    """An engine that runs for the block."""
    with tempfile.TemporaryDirectory(prefix="engine") as folder:
        engine = EngineProcess(Path(folder), *options)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()
