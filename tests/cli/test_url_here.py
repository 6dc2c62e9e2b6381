"""Commands ask the pages of the server that runs here, wherever its port has moved."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audio_server.cli.remote import Remote
from audio_server.client.server import DEFAULT_URL
from audio_server.files.running import RUNNING_FILE, note_running

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The usual data folder."""
    folder = tmp_path / "state" / "streaming-audio-server"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081", "http://localhost:1", "http://[::1]:9"])
def test_the_pages_of_the_server_here_are_asked(url: str, data: Path) -> None:
    note_running(data, "127.0.0.1:50051", url)
    assert Remote().server().url == url


def test_a_url_that_is_named_counts(data: Path) -> None:
    note_running(data, "127.0.0.1:50051", "http://127.0.0.1:8081")
    assert Remote(url="http://127.0.0.1:9").server().url == "http://127.0.0.1:9"


def test_a_data_folder_of_the_environment_counts(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_running(data, "127.0.0.1:50051", "http://127.0.0.1:8081")
    note_running(tmp_path, "127.0.0.1:50052", "http://127.0.0.1:8082")
    monkeypatch.setenv("AUDIO_SERVER_DATA", str(tmp_path))
    assert Remote().server().url == "http://127.0.0.1:8082"
    monkeypatch.setenv("AUDIO_SERVER_DATA", "")
    assert Remote().server().url == "http://127.0.0.1:8081"


@pytest.mark.parametrize(
    "pages", [None, "https://192.0.2.1:8080", "ftp://127.0.0.1:1", "http://127.0.0.1:x", 7, []]
)
def test_other_pages_are_not_asked(pages: Any, data: Path) -> None:
    facts = {"process": os.getpid(), "devices": "127.0.0.1:1", "pages": pages}
    (data / RUNNING_FILE).write_text(json.dumps(facts))
    assert Remote().server().url == DEFAULT_URL


def test_a_server_that_has_ended_is_not_asked(data: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    facts = {"process": ended.pid, "devices": "127.0.0.1:1", "pages": "http://127.0.0.1:8081"}
    (data / RUNNING_FILE).write_text(json.dumps(facts))
    assert Remote().server().url == DEFAULT_URL
