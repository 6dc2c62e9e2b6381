"""The server as its users run it, with pages, which can be stopped and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from free_ports import free_port

STOP_S = 30.0


class WebServer:
    """`python -m audio_server` with its pages on a port that stays the same."""

    def __init__(self, folder: Path, clips: Path, *flags: str, host: str = "127.0.0.1") -> None:
        port = free_port()
        self.http = f"{host}:{port}"
        scheme = "https" if "--tls-cert" in flags else "http"
        self.url = f"{scheme}://127.0.0.1:{port}"
        own = ["--port", str(free_port()), "--http", self.http, "--grace-s", "2"]
        folders = ["--clips", str(clips), "--cache", str(folder), "--data", str(folder)]
        self._command = [sys.executable, "-m", "audio_server", *own, *folders, *flags]
        self.has_token = False
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it serves devices and pages."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "--log-format", "json"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={k: v for k, v in os.environ.items() if not k.startswith("AUDIO_")},
            )
            assert self._process.stderr is not None
            for line in self._process.stderr:
                log.write(line)
                if b'"pages"' in line:
                    return
        raise AssertionError(f"the server did not start: {self._log.read_text()}")

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Stop it as an operator would; it must end well, and without an error in its log."""
        assert self._process is not None
        assert self._process.stderr is not None
        self._process.terminate()
        try:
            rest = self._process.stderr.read()
            assert self._process.wait(STOP_S) == 0
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stderr.close()
        lines = [json.loads(line) for line in rest.splitlines()]
        assert [line for line in lines if line["level"] in ("error", "critical")] == []
