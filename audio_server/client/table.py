"""Devices in columns: as many as there is room for, or all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from audio_server.client.columns import COLUMNS, Column
from audio_server.client.words import NOTHING, Row

GAP = 2


def table(rows: Sequence[Row], now: float, width: int) -> Table:
    """The first columns that `width` has room for, without those that say nothing."""
    drawn = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    chosen = list(_chosen(rows, now, width))
    for column, _ in chosen:
        drawn.add_column(
            column.heading,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for cells in zip(*(cells for _, cells in chosen), strict=True):
        drawn.add_row(*cells)
    return drawn


def _chosen(rows: Sequence[Row], now: float, width: int) -> Iterator[tuple[Column, Sequence[Text]]]:
    """Columns and their cells. The first is always there."""
    left = width
    for number, column in enumerate(COLUMNS.values()):
        cells = [column.cell(row, now) for row in rows]
        if number and all(cell.plain == NOTHING for cell in cells):
            continue
        left -= max([len(column.heading), *(cell.cell_len for cell in cells)]) + GAP
        if number and left < 0:
            return
        yield column, cells


def lines(rows: Sequence[Row], now: float) -> list[list[str]]:
    """All columns as text, headings first."""
    headings = [column.heading for column in COLUMNS.values()]
    return [headings, *([cell(row, now).plain for _, cell, *_ in COLUMNS.values()] for row in rows)]
