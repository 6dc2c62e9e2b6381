"""Characters that an encoding does not have."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from audio_server.process.encoding_errors import ERRORS, OUTPUT
from audio_server.simulator.screen import LEDS

TEXT = "Küche 教室 ●○■□◆◇▲△ ▶ █▍ “\u2013…” cafe\u0301 👩\u200d👧 \ud800"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252", "iso8859-5", "cp437", "utf-8"])
@pytest.mark.parametrize("errors", [OUTPUT, ERRORS])
def test_every_text_can_be_written(encoding: str, errors: str) -> None:
    shown = TEXT.encode(encoding, errors).decode(encoding)
    assert shown.startswith("K")
    assert "\ud800" not in shown


def test_a_table_keeps_its_columns() -> None:
    for word in TEXT.split()[:-1]:
        shown = word.encode("ascii", OUTPUT).decode()
        assert len(shown) in (cell_len(word), sum(map(cell_len, word)))


def test_lit_and_dark_lamps_still_differ() -> None:
    for _, lit, dark in LEDS:
        assert lit.encode("ascii", OUTPUT) != dark.encode("ascii", OUTPUT)
    assert len({lit.encode("ascii", OUTPUT) for _, lit, _ in LEDS[2:]}) == 4


def test_an_error_loses_nothing_of_a_name() -> None:
    assert "Küche 教室".encode("ascii", ERRORS) == rb"K\xfcche \u6559\u5ba4"
    assert "Küche 教室".encode("ascii", OUTPUT) == b"K?che ????"
