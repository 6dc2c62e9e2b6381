"""Columns in line, for eyes and for `awk`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from audio_server.process.printable import printable


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of as many cells each as lines; cells are made printable."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in cells]


def _padded(cell: str, width: int) -> str:
    """Fill up with spaces: some signs take two places of a terminal, and some none."""
    return cell + " " * (width - cell_len(cell))
