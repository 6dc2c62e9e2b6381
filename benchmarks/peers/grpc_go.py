"""Peer: grpc-go, which is built from `go/` for a run, from the sources that Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

GRPC_GO = "grpc-go-bursts"

_SOURCES = Path(__file__).parent / "go"
_DEBIAN_GOPATH = "/usr/share/gocode"
_BUILD_S = 300.0


class BuildFailed(Exception):
    """The peer could not be built; the text has the compiler's last words."""


def missing() -> str:
    """Return why the peer cannot be built here, or nothing if it can."""
    if shutil.which("go") is None:
        return "there is no command `go` (Debian: golang-go)"
    roots = [Path(root) for root in _gopath().split(os.pathsep)]
    if not any((root / "src/google.golang.org/grpc").is_dir() for root in roots):
        return f"grpc-go is not in {_gopath()} (Debian: golang-google-grpc-dev)"
    return ""


def build(folder: Path) -> Path:
    """Build the peer into a folder, once; returns the program. Raises `BuildFailed`."""
    program = folder / "grpc-go-peer"
    if not program.exists():
        sources = sorted(map(str, _SOURCES.glob("*.go")))
        command = ["go", "build", "-o", str(program), *sources]
        settings = {"GO111MODULE": "off", "GOPATH": _gopath()}
        built = subprocess.run(
            command,
            env=os.environ | settings,
            capture_output=True,
            text=True,
            timeout=_BUILD_S,
            check=False,
        )
        if built.returncode:
            raise BuildFailed(f"go build: {' | '.join(built.stderr.splitlines()[-5:])}")
    return program


def _gopath() -> str:
    return os.environ.get("GOPATH", _DEBIAN_GOPATH)
