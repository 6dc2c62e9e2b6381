"""`audio-server proto`: the contract with devices, for firmware."""

from __future__ import annotations

from pathlib import Path

from audio_server.process.output import say

PACKAGE = Path(__file__).resolve().parent.parent


def proto() -> None:
    """Print comms.proto, the messages and calls that devices are built against."""
    installed = PACKAGE / "wire" / "comms.proto"
    file = installed if installed.is_file() else PACKAGE.parent / "comms.proto"
    say(*file.read_text(encoding="utf-8").splitlines())
