"""The addresses of the server that has a data folder, for a second one that is started with it.

The lock on the state file says that a server runs; this file only says where. Everything here
blocks, and no fault of the file matters.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.files.small_file import read_small

RUNNING_FILE = "running.json"
"""Name of the file in the data folder."""

FILE_MAX_BYTES = 4096


class Running(NamedTuple):
    """A server that runs: its process, the address for devices, the URL of the pages if any."""

    process: int
    devices: str
    pages: str | None


def note_running(data: Path, devices: str, pages: str | None) -> None:
    """Write the addresses of this process."""
    facts = {"process": os.getpid(), "devices": devices, "pages": pages}
    with suppress(OSError), OpenFolder(data) as folder:
        folder.write(RUNNING_FILE, json.dumps(facts).encode(), mode=0o600, durable=False)


def where_running(data: Path) -> str:
    """Return the addresses of the server that wrote them last, in words after a name; empty if it
    has ended, or has written none."""
    if (running := running_at(data)) is None:
        return ""
    shown = f"pages at {running.pages}" if running.pages else "no pages"
    return f" (process {running.process}: devices at {running.devices}, {shown})"


def running_at(data: Path) -> Running | None:
    """Return the server that wrote its addresses last; None if it has ended, or wrote none."""
    try:
        facts = json.loads(read_small(data / RUNNING_FILE, FILE_MAX_BYTES))
        pages = facts["pages"]
        running = Running(
            int(facts["process"]), str(facts["devices"]), None if pages is None else str(pages)
        )
        return running if _is_there(running.process) else None
    except (SetupError, OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        return None


def _is_there(process: int) -> bool:
    with suppress(PermissionError):  # another user's
        os.kill(process, 0)
    return True
