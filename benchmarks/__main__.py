"""`python -m benchmarks`: measure our server and its peers, show, write."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.cell import Course
from benchmarks.machine import raise_file_limit
from benchmarks.peers.grpc_go import GRPC_GO, missing
from benchmarks.plot import draw
from benchmarks.report import show
from benchmarks.results import Results
from benchmarks.run import Bench, Plan
from benchmarks.servers import OURS, SERVERS
from benchmarks.smoke import SMOKE_COURSE, SMOKE_DEVICES, complaints

_PEERS = [name for name in SERVERS if name != OURS]
_WIDTH = 200
"""Of what is printed into a file."""

_TRANSPORTS = {"off": (False,), "on": (True,), "both": (False, True)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code: 1 where the short form found something wrong."""
    args = _parser().parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    raise_file_limit()
    if GRPC_GO in args.peers and (why := missing()):
        console.print(f"{GRPC_GO} is left out: {why}")
        args.peers.remove(GRPC_GO)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    results = Results(vars(args) | {"json": None, "svg": None})
    try:
        Bench(_plan(args), results, console).run()
    except KeyboardInterrupt:
        console.print("interrupted: what follows is what was measured so far")
    show(results, console)
    _write(results, args, console)
    wrong = list(_wrong(results)) if args.smoke else []
    for complaint in wrong:
        console.print(f"WRONG: {complaint}", style="red")
    return 1 if wrong else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--devices", type=_numbers, default=[100, 400, 1000, 2000, 4000], metavar="N,N,...")
    add("--peers", type=_names, default=_PEERS.copy(), help=f"of {', '.join(_PEERS)}; or none")
    add("--no-ours", action="store_true", help="leave our own server out")
    add("--workers", type=_numbers, default=[1], metavar="N,N,...", help="for our server")
    add("--tls", choices=_TRANSPORTS, default="off", nargs="?", const="on", help="TLS 1.3 or both")
    add("--seconds", type=float, default=10.0, help="length of the steady interval")
    add("--arriving", type=int, default=200, help="of all devices, that arrive at a steady pace")
    add("--joining", type=int, default=500, help="devices that join within a second")
    add("--lead-ms", type=int, default=300, help="how far ahead peers send; ours has its own")
    add("--repeat", type=int, default=1, help="runs of everything; tables show medians")
    add("--most", type=int, default=0, metavar="N", help="find how many devices, up to N, are held")
    add("--core-share", type=float, default=0.0, help="each process of a server has so much of one")
    add("--server-arg", action="append", default=[], help="one more argument for our server")
    add("--json", type=Path, help="file for all figures")
    add("--svg", type=Path, help="file for the plot")
    add("--smoke", action="store_true", help="a few devices for seconds; right or wrong, no times")
    return parser


def _plan(args: argparse.Namespace) -> Plan:
    course = Course(
        seconds=args.seconds,
        probe_seconds=max(1.0, args.seconds / 2),
        arriving=args.arriving,
        joining=args.joining,
    )
    plan = Plan(
        servers=[*([] if args.no_ours else [OURS]), *args.peers],
        devices=args.devices,
        workers=args.workers,
        course=course,
        lead_ms=args.lead_ms,
        repeat=args.repeat,
        most_devices=args.most,
        core_share=args.core_share,
        args=args.server_arg,
        transports=_TRANSPORTS[args.tls],
    )
    if args.smoke:
        return replace(plan, devices=SMOKE_DEVICES, course=SMOKE_COURSE, repeat=1, most_devices=0)
    return plan


def _write(results: Results, args: argparse.Namespace, console: Console) -> None:
    if args.json:
        results.write(args.json)
    if args.svg:
        try:
            args.svg.write_text(draw(results.summary()))
        except ValueError as error:  # interrupted before there was anything, or nobody held
            console.print(f"there is no plot: {error}")


def _wrong(results: Results) -> list[str]:
    return [
        f"{cell.server}: {complaint}" for cell in results.cells for complaint in complaints(cell)
    ]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    names = [] if text == "none" else text.split(",")
    if unknown := [name for name in names if name not in _PEERS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
