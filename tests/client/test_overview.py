"""The live table as it is drawn, and what it knows."""

from __future__ import annotations

import io
import time

import pytest
from fake_api import NOW, playing, row
from rich.console import Console

from audio_server.client.columns import COLUMNS, lamps, natural, sort
from audio_server.client.overview import KEYS, Order, Overview, Scroll
from audio_server.client.watched import Watched
from audio_server.client.words import ago, clock, milliseconds, mode, plays

URL = "http://there"


def drawn(
    watched: Watched,
    order: Order | None = None,
    *,
    width: int = 80,
    scroll: Scroll | None = None,
) -> list[str]:
    """The screen, 24 lines high."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    options = console.options.update_dimensions(width, 24)
    lines = console.render_lines(
        Overview(watched, order or Order(), URL, scroll), options, pad=False
    )
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def watching(*rows: dict[str, object]) -> Watched:
    """A server with these devices."""
    watched = Watched()
    watched.feed("all", {"now": NOW, "rows": list(rows)})
    return watched


def test_what_fits_is_shown_and_the_rest_counted() -> None:
    began_s = time.process_time()
    lines = drawn(watching(*(playing(f"d{number}") for number in range(2000))))
    assert time.process_time() - began_s < 0.4  # a frame is due every half second
    assert lines[0] == "2,000 devices, 2,000 playing   by id   http://there"
    assert [line.split()[0] for line in lines[1:4]] == ["id", "d0", "d1"]
    assert lines[22:] == ["and 1,980 more", KEYS]


def test_the_list_scrolls() -> None:
    watched, scroll = watching(*(playing(f"d{number}") for number in range(50))), Scroll()
    assert drawn(watched, scroll=scroll)[22] == "and 30 more"
    shown = []
    for key in ("j", "k", "k", "\x06", "\x06", "\x06", "\x02", "g", "G", "s", "x"):
        scroll.obey(key)
        lines = drawn(watched, scroll=scroll)
        shown.append((lines[2].split()[0], lines[21].split()[0]))
    assert shown == [
        ("d1", "d20"),
        ("d0", "d19"),
        ("d0", "d19"),
        ("d20", "d39"),
        ("d30", "d49"),
        ("d30", "d49"),
        ("d10", "d29"),
        ("d0", "d19"),
        *[("d30", "d49")] * 3,
    ]
    assert lines[22] == "31 to 50 of 50"
    watched.feed("changes", {"now": NOW, "gone": [f"d{number}" for number in range(45)]})
    assert drawn(watched, scroll=scroll)[2].split()[0] == "d45"


def test_few_devices_leave_room() -> None:
    lines = drawn(watching(row("hall", state="error"), playing("attic")))
    assert lines[0].startswith("2 devices, 1 playing, 1 in error")
    assert [line.split()[0] for line in lines[2:4]] == ["attic", "hall"]
    assert lines[4:23] == [""] * 19
    assert lines[23] == KEYS
    assert drawn(watching())[0].startswith("0 devices")


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_columns_that_have_no_room_are_left_out(width: int) -> None:
    watched = watching(playing("hall", name="The Hall", battery=0.5, errors=1))
    lines = drawn(watched, width=width)
    assert max(map(len, lines)) <= width
    assert lines[2].split()[0] == "hall"
    assert ("10.0.0.7:51234" in lines[2]) is (width == 200)
    assert "worker" not in lines[1]  # nothing is known of it


def test_a_lost_server_is_named() -> None:
    watched = watching(row("hall"))
    watched.lost = "http://there: Connection\x1b refused"
    lines = drawn(watched)
    assert lines[23] == "http://there: Connection\\x1b refused; looking for it"
    assert lines[2].startswith("hall")
    watched.feed("changes", {"now": NOW, "gone": ["hall"]})
    assert drawn(watched)[23] == KEYS


def test_changes_change_what_is_known() -> None:
    watched = watching(row("hall"), row("attic"))
    watched.feed("changes", {"now": NOW, "rows": [row("hall", mode=4)], "gone": ["attic"]})
    watched.feed("of a later version", {"rows": [row("shed")]})
    assert watched.rows == {"hall": row("hall", mode=4)}
    assert watched.now == pytest.approx(NOW, abs=5)
    watched.feed("all", {"now": NOW, "rows": []})
    assert watched.rows == {}


def test_keys_change_the_order() -> None:
    order = Order("errors")
    rows = [row("a"), row("b", errors=1), row("c", errors=1)]
    assert [one["id"] for one in order.sort(rows)] == ["b", "c", "a"]
    order.obey("r")
    assert [one["id"] for one in order.sort(rows)] == ["a", "c", "b"]
    order.obey("x")
    assert str(order) == "by errors, backwards"
    for _ in COLUMNS:
        order.obey("s")
    assert order.key == "errors"


def test_every_column_sorts_whatever_comes() -> None:
    rows = [row("a"), playing("b", lead_ms=3, worker=1, battery=0.1, name="B"), row("c", state="?")]
    for key in COLUMNS:
        assert {one["id"] for one in sort(rows, key)} == {"a", "b", "c"}
    assert natural("device-9") < natural("device-10") < natural("Device-11")


def test_words() -> None:
    assert [ago(s) for s in (-3, 5, 60, 7300, 200_000)] == ["0s", "5s", "1m", "2h", "2d"]
    assert clock(125.9) == "2:05"
    assert [milliseconds(ms) for ms in (None, 0.25, 12.6)] == ["-", "0.2", "13"]
    assert plays(playing("a"), NOW + 60) == "bell 0:12/0:12"
    assert plays(playing("a"), NOW - 60) == "bell 0:01/0:12"
    assert [mode({"mode": 1, "mode_name": name}) for name in ("03-bell", "1-", "7", None)] == [
        "1 bell",
        "1 1-",
        "1 7",
        "1",
    ]


def test_leds_are_drawn_as_bright_as_they_are() -> None:
    text = lamps(["#ffffffff", "#00ff0080", "#ff000000", "#000000", "#0000ff", "#ffffff"])
    assert text.plain == "●●□◇▲●"
    styles = [str(span.style) for span in text.spans]
    assert styles == ["#ffffff", "#008000", "dim", "dim", "#0000ff", "#ffffff"]


@pytest.mark.parametrize(
    ("clip", "title"), [("03-bell", "bell"), ("880-hertz", "880-hertz"), ("7", "7"), (None, "")]
)
def test_a_clip_is_called_as_the_server_calls_it(clip: str | None, title: str) -> None:
    assert mode({"mode": 1, "mode_name": clip}) == f"1 {title}".rstrip()


def test_a_cluster_is_counted_and_its_missing_nodes_named() -> None:
    watched = watching(row("hall"))
    counts = {"connected": 12_345, "playing": 67, "failing": 8, "nodes": 3}
    watched.feed("changes", {"rows": [], "gone": [], "counts": counts, "missing": ["b:1"]})
    lines = drawn(watched)
    assert lines[0].startswith("12,345 devices, 1 shown, 67 playing, 8 in error")
    assert lines[-1].startswith("no answer from b:1")
    watched.feed("changes", {"rows": [], "gone": [], "counts": counts, "missing": []})
    assert "no answer" not in drawn(watched)[-1]
