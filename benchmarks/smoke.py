"""The short form for CI: is what the benchmark sees right, whatever the times?"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cell import Cell, Course

SMOKE_DEVICES = (5,)
SMOKE_COURSE = Course(
    seconds=0.6,
    probe_seconds=0.6,
    settle_seconds=0.1,
    idle_seconds=0.1,
    storm_seconds=1.0,
    clip_seconds=30.0,
    warm=1,
    arriving=3,
    joining=3,
)


def complaints(cell: Cell) -> Iterator[str]:
    """Each fault of a cell of the short form; none of them is a matter of speed."""
    if cell.failed:
        yield cell.failed
        return
    for fault, times in cell.faults.items():
        yield f"{fault} ({times:.0f})"
    if not cell.packets_per_s > 0:
        yield "no packets came"
    if cell.arrival.get("arrived") != SMOKE_COURSE.arriving:
        yield "not every device could arrive"
    if cell.play_storm.get("first_count") != cell.devices:
        yield "not every Play was heard"
    if cell.play_storm.get("ack_count") != cell.devices:
        yield "not every press was acknowledged"
    if not cell.fell_behind:
        yield from _complaints_of_stops(cell)


def _complaints_of_stops(cell: Cell) -> Iterator[str]:
    if cell.stop_storm.get("end_count") != cell.devices:
        yield "not every Stop was heard"
    if cell.mode_storm.get("leds_count") != cell.devices:
        yield "not every Mode was shown"
    if not cell.steady.get("ack_count"):
        yield "no single press was acknowledged"
    if cell.joining.get("joined") != SMOKE_COURSE.joining:
        yield "not every device could join"
