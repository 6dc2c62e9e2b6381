"""The addresses of the server that has a data folder, for a second one that is started with it.

The lock on the state file says that a server runs; this file only says where. Everything here
blocks, and no fault of the file matters.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.files.small_file import read_small

RUNNING_FILE = "running.json"
"""Name of the file in the data folder."""

FILE_MAX_BYTES = 4096


def note_running(data: Path, devices: str, pages: str | None) -> None:
    """Write the addresses of this process."""
    facts = {"process": os.getpid(), "devices": devices, "pages": pages}
    with suppress(OSError), OpenFolder(data) as folder:
        folder.write(RUNNING_FILE, json.dumps(facts).encode(), mode=0o600, durable=False)


def where_running(data: Path) -> str:
    """Return the addresses of the server that wrote them last, in words after a name; empty if it
    has ended, or has written none."""
    try:
        facts = json.loads(read_small(data / RUNNING_FILE, FILE_MAX_BYTES))
        process, devices, pages = int(facts["process"]), facts["devices"], facts["pages"]
        os.kill(process, 0)
    except PermissionError:  # another user's
        pass
    except (SetupError, OSError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
        return ""
    shown = f"pages at {pages}" if pages else "no pages"
    return f" (process {process}: devices at {devices}, {shown})"
