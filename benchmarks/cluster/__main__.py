"""`python -m benchmarks.cluster`: all scenarios in their whole size, as a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import trio

from benchmarks.cluster.scenarios import Outcome, drain_node, kill_engine, kill_node, move
from benchmarks.tally import quantile_ms

Scenario: TypeAlias = Callable[[Path], Coroutine[Any, Any, Outcome]]

SCENARIOS: dict[str, Scenario] = {
    "a device moves 1,000 times": partial(move, moves=1000),
    "a node with 500 of 1,000 devices is killed": partial(kill_node, devices=1000),
    "the engine is killed in 1,000 presses": partial(
        kill_engine, devices=50, presses=1000, away_s=0.0
    ),
    "the same, away for 2 s": partial(kill_engine, devices=50, presses=1000, away_s=2.0),
    "the same, away for 20 s": partial(kill_engine, devices=50, presses=1000, away_s=20.0),
    "a node with 500 devices drains in 5 s": partial(drain_node, devices=500, drain_s=5.0),
}


def main() -> None:
    """Run those whose name has the text, and print what devices felt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("text", nargs="?", default="", help="a part of a name: run those alone")
    text, is_right = parser.parse_args().text, True
    print("| | p50 | p99 | worst |\n|---|---|---|---|")
    for name, scenario in SCENARIOS.items():
        if text in name:
            is_right = _run(name, scenario) and is_right
    sys.exit(not is_right)


def _run(name: str, scenario: Scenario) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        outcome = trio.run(scenario, Path(folder))
    for what, times in outcome.seconds.items():
        cells = " | ".join(f"{quantile_ms(times, part):.0f} ms" for part in (0.5, 0.99, 1.0))
        print(f"| {name}: {what} ({len(times)}) | {cells} |", flush=True)
    if outcome.heard.packets:
        print(f"| {name}: sound elsewhere | {outcome.late} | | |", flush=True)
    for wrong in outcome.wrong[:20]:
        print(f"WRONG: {wrong}", flush=True)
    return not outcome.wrong


if __name__ == "__main__":
    main()
