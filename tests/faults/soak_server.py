"""`python -m audio_server`, with one thing more: on SIGUSR2 it counts what it holds.

    python soak_server.py COUNTS.json ARGUMENT...

What is counted is written to the file: tasks, and objects of a peer's that are alive; and what
only a full collection would have freed, for the server never runs one.
"""

from __future__ import annotations

import gc
import json
import runpy
import signal
import sys
from collections import Counter
from pathlib import Path

import trio

COUNTED = ("ServerConnection", "RpcStream", "Device", "Outbox", "Http2", "Link")


def count(*, collect: bool = True) -> dict[str, int]:
    """Tasks and objects, and how many of these were garbage that nobody had freed."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    kinds = Counter(type(each).__name__ for each in gc.get_objects())
    counts = {"tasks": tasks} | {kind: kinds[kind] for kind in COUNTED}
    return counts | ({"garbage": gc.collect()} if collect else {})


def _write_counts(file: Path) -> None:
    part = file.with_suffix(".part")
    part.write_text(json.dumps(count()))
    part.replace(file)


def main() -> None:
    """Be the server."""
    file = Path(sys.argv.pop(1))
    signal.signal(signal.SIGUSR2, lambda *_: _write_counts(file))
    runpy.run_module("audio_server", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
