"""A real engine, as a process of the test's own: Debian's `redis-server`, or the program that the
variable `ENGINE` names."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hiredis

PROGRAM = os.environ.get("ENGINE", "redis-server")
READY_S = 20.0


def take_port() -> int:
    """A port of loopback that was free a moment ago, and no client will get."""
    from free_ports import free_port

    return free_port()


class EngineProcess:
    """An engine in a folder of its own, on a port that it keeps when it is started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.port = take_port()
        self.folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Return when it answers."""
        command = self._command((*self._options, *options))
        with (self.folder / "engine.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        self.wait(self._answers)

    def _command(self, options: tuple[str, ...]) -> list[str]:
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--dir", str(self.folder), "--save", "", "--enable-debug-command", "yes"]
        return [*command, *options]

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Return when it is. Blocks."""
        assert self._process is not None
        until = time.monotonic() + READY_S
        while not is_so():
            assert time.monotonic() < until, (self.folder / "engine.log").read_text()
            assert self._process.poll() is None, (self.folder / "engine.log").read_text()
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return not str(self.ask("PING")).startswith("LOADING")
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


class SentinelProcess(EngineProcess):
    """A Sentinel that has one primary replaced after half a second, by itself alone."""

    def __init__(self, folder: Path, primary: int) -> None:
        super().__init__(folder)
        self._config = folder / "sentinel.conf"
        lines = (
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {folder}",
            f"sentinel monitor main 127.0.0.1 {primary} 1",
            "sentinel down-after-milliseconds main 500",
            "sentinel failover-timeout main 5000",
        )
        self._config.write_text("\n".join(lines) + "\n")

    def _command(self, options: tuple[str, ...]) -> list[str]:
        return [PROGRAM, str(self._config), "--sentinel", *options]


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
