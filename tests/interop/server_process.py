"""The server as its users run it: a process of its own, which says where it listens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

START_S = 60.0
STOP_S = 30.0


class ServerProcess:
    """`python -m audio_server` on a free port. Ready when made; `stop` ends it."""

    def __init__(
        self, clips: Path, cache: Path, *flags: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        command = [sys.executable, "-m", "audio_server", "--port", "0", "--log-format", "json"]
        folders = ["--clips", str(clips), "--cache", str(cache), "--data", "off"]
        self._process = subprocess.Popen(
            [*command, *folders, *flags],
            stderr=subprocess.PIPE,
            text=True,
            env={**_environment(), **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.port = int(self.wait_logged("listening", within_s=START_S)["port"])
        self.target = f"127.0.0.1:{self.port}"

    def wait_logged(self, event: str, *, within_s: float = 30.0) -> dict[str, Any]:
        """The first line of the log about `event`."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._find(event), within_s)
        assert found is not None, f"no {event!r} in the log: {self.log}"
        return found

    def errors(self) -> list[dict[str, Any]]:
        """What a server says only of faults of its own."""
        with self._changed:
            return [line for line in self.log if line.get("level") in ("error", "critical")]

    def signal(self, number: int) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        status = self._process.wait(STOP_S)
        self._reader.join(STOP_S)
        return status

    def stop(self) -> int:
        """Ask it to end; its exit status. A server that does not end is killed."""
        try:
            self.signal(signal.SIGTERM)
            return self.wait()
        finally:
            self._process.kill()
            self._process.wait()

    def _find(self, event: str) -> dict[str, Any] | None:
        ended = self._process.poll() is not None
        return next((line for line in self.log if line["event"] == event), {} if ended else None)

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                with self._changed:
                    self.log.append(_parsed(line))
                    self._changed.notify_all()


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {"event": line.rstrip(), "level": "error"}
    return entry if isinstance(entry, dict) else {"event": line, "level": "error"}


def _environment() -> dict[str, str]:
    """No setting of the machine is the server's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AUDIO_")}
