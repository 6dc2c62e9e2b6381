"""A second server on one data folder is told where the first one runs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from audio_server.files.running import RUNNING_FILE, note_running, where_running


def test_where_it_runs(tmp_path: Path) -> None:
    note_running(tmp_path, "127.0.0.1:50051", "http://127.0.0.1:8080")
    where = "devices at 127.0.0.1:50051, pages at http://127.0.0.1:8080"
    assert where_running(tmp_path) == f" (process {os.getpid()}: {where})"
    note_running(tmp_path, "[::1]:1", None)
    assert where_running(tmp_path) == f" (process {os.getpid()}: devices at [::1]:1, no pages)"


def test_one_that_has_ended_is_not_named(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    facts = {"process": ended.pid, "devices": "127.0.0.1:1", "pages": None}
    (tmp_path / RUNNING_FILE).write_text(json.dumps(facts))
    assert where_running(tmp_path) == ""


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "\xff", '{"process": "x"}', '{"process": 1e99}', "9" * 5000, "[" * 4000],
)
def test_a_file_of_another_kind_says_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / RUNNING_FILE).write_text(text, encoding="latin-1")
    assert where_running(tmp_path) == ""


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    note_running(tmp_path / "nowhere", "127.0.0.1:1", None)
    assert where_running(tmp_path / "nowhere") == ""
