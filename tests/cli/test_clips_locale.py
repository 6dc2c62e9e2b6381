"""Names of clips where the locale of the process is not UTF-8."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from terminal_encodings import ENCODINGS, OTHERS

from audio_server.clips.errors import as_text
from audio_server.clips.folder import default_clips

Run = Callable[..., CompletedProcess[str]]
SOUND = default_clips() / "1-square.opus"


@pytest.fixture
def in_c_locale() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OTHERS}
    return kept | ENCODINGS["C"]


def test_files_are_called_as_everywhere_else(
    run_command: Run, in_c_locale: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    shutil.copy(SOUND, tmp_path / "clips" / "01-Köln 教室.opus")
    listed = run_command("clips", "list", "--json", "--cache", "cache", env=in_c_locale)
    assert [clip["name"] for clip in json.loads(listed.stdout)] == ["01-Köln 教室"]


def test_a_name_that_files_cannot_have_is_one_line(
    run_command: Run, in_c_locale: dict[str, str], tmp_path: Path
) -> None:
    done = run_command("clips", "add", str(SOUND), "--name", "Köln", env=in_c_locale)
    assert done.returncode == 2
    assert done.stderr.startswith("audio-server: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Köln", "Köln"),
        ("K\udcc3\udcb6ln", "Köln"),  # as an ASCII locale decodes it
        ("K\udcf6ln", "K?ln"),
        ("\ud800", "?"),
    ],
)
def test_the_text_of_a_name(name: str, text: str) -> None:
    assert as_text(name) == text
