"""The devices that are watched, as a terminal shows them: those that fit, and a count of all."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from audio_server.client.columns import COLUMNS, sort
from audio_server.client.table import table
from audio_server.client.watched import Watched
from audio_server.client.words import Row
from audio_server.process.printable import printable

KEYS = "q quit   s sort by the next column   r the other way round   arrows scroll"
_FIXED_LINES = 4
"""Summary, headings, how many more there are, keys."""


class Order:
    """The orders of a list of devices."""

    def __init__(self, key: str = "id", *, backwards: bool = False) -> None:
        self.key = key
        self.backwards = backwards

    def obey(self, key: str) -> None:
        """Act on a key; an unknown key does nothing."""
        if key in "sS":
            keys = list(COLUMNS)
            self.key = keys[(keys.index(self.key) + 1) % len(keys)]
        elif key in "rR":
            self.backwards = not self.backwards

    def sort(self, rows: Iterable[Row]) -> list[Row]:
        """The rows in this order."""
        return sort(rows, self.key, backwards=self.backwards)

    def __str__(self) -> str:
        return f"by {self.key}{', backwards' if self.backwards else ''}"


class Scroll:
    """The part of the list that is shown."""

    def __init__(self) -> None:
        self.first = 0
        self._room = 1
        self._count = 0

    def obey(self, key: str) -> None:
        """Act on a key; an unknown key does nothing."""
        steps = {"j": 1, "k": -1, "\x06": self._room, "\x02": -self._room}
        steps |= {"g": -self._count, "G": self._count}
        self._move(steps.get(key, 0))

    def fit(self, count: int, room: int) -> slice:
        """Return the rows to show of so many, where there is room for so many."""
        self._count, self._room = count, room
        self._move(0)
        return slice(self.first, self.first + room)

    def _move(self, step: int) -> None:
        self.first = max(0, min(self.first + step, self._count - self._room))


class Overview:
    """A renderable: the state of `watched` at the time of drawing."""

    def __init__(
        self, watched: Watched, order: Order, url: str, scroll: Scroll | None = None
    ) -> None:
        self._watched = watched
        self._order = order
        self._scroll = scroll or Scroll()
        self._url = url

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        rows = self._order.sort(self._watched.rows.values())
        shown = rows[self._scroll.fit(len(rows), max(1, height - _FIXED_LINES))]
        yield self._summary(rows)
        yield table(shown, self._watched.now, options.max_width)
        for _ in range(height - _FIXED_LINES - len(shown)):
            yield Text()
        yield self._place(len(rows), len(shown))
        yield self._foot()

    def _place(self, count: int, shown: int) -> Text:
        first, more = self._scroll.first, count - shown
        text = f"and {more:,} more" if more else ""
        if first:
            text = f"{first + 1:,} to {first + shown:,} of {count:,}"
        return Text(text, style="dim", no_wrap=True)

    def _summary(self, rows: list[Row]) -> Text:
        playing = sum(row.get("state") == "playing" for row in rows)
        wrong = sum(row.get("state") == "error" for row in rows)
        count = len(rows)
        if (counts := self._watched.counts) is not None:
            count, playing, wrong = counts["connected"], counts["playing"], counts["failing"]
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{count:,} device{'' if count == 1 else 's'}", style="bold")
        if count > len(rows):
            text.append(f", {len(rows):,} shown")
        text.append(f", {playing:,} playing", style="green" if playing else "")
        text.append(f", {wrong:,} in error" if wrong else "", style="bold red")
        return text.append(f"   {self._order}   {self._url}", style="dim")

    def _foot(self) -> Text:
        if self._watched.lost is None and self._watched.missing:
            line = printable(f"no answer from {', '.join(self._watched.missing)}")
            return Text(line, style="bold yellow", no_wrap=True, overflow="ellipsis", end="")
        if self._watched.lost is None:
            return Text(KEYS, style="dim", no_wrap=True, overflow="ellipsis", end="")
        line = f"{printable(self._watched.lost)}; looking for it"
        return Text(line, style="bold yellow", no_wrap=True, overflow="ellipsis", end="")
