"""Ask a running server everything that its OpenAPI document allows, and much that it does not.

Schemathesis makes up the requests, and holds each answer against the document: a status or a body
that is not described, valid data that is refused, wrong data that is taken, a missing login.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from web_server import WebServer

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef0123"
STREAMS = ("/api/devices/changes", "/api/events")
"""What may be answered for ever, which tools that wait for the end cannot ask."""

NOT_ALL_NAMES = "positive_data_acceptance"
"""Which names are printable, and which files are sound, no schema can say."""


def main(*options: str) -> int:
    """The exit status of Schemathesis; `options` are more for it."""
    with TemporaryDirectory() as folder:
        home = Path(folder)
        shutil.copytree(ROOT / "clips", home / "clips", ignore=shutil.ignore_patterns("*.py"))
        (home / "token").write_text(TOKEN)
        server = WebServer(home, home / "clips", "--http-token-file", str(home / "token"))
        server.start()
        try:
            return ask_everything(server.url, home, *options)
        finally:
            server.stop()


def ask_everything(url: str, home: Path, *options: str) -> int:
    """Ask a server on this machine."""
    command = ["schemathesis", "run", f"{url}/api/openapi.json"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--exclude-checks", NOT_ALL_NAMES]
    command += [part for path in STREAMS for part in ("--exclude-path", path)]
    command += ["--generation-deterministic", "--request-timeout", "30", "--warnings", "off"]
    return subprocess.run([*command, *options], cwd=home, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
