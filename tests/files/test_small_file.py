"""Small files that others write: whatever is there instead, one kind of error, and no wait."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from audio_server.errors import SetupError
from audio_server.files.small_file import FileMissing, read_small, read_token, text_of
from audio_server.settings import Settings
from audio_server.web.token_file import KEY_BYTES, KEY_FILE, cookie_key

TOKEN = "0123456789abcdef0123"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def test_up_to_the_bound(path) -> None:
    path.write_bytes(b"12345")
    assert read_small(path, 5) == b"12345"
    with pytest.raises(SetupError, match="is larger than 4 bytes"):
        read_small(path, 4)


def test_one_that_is_not_there(path) -> None:
    with pytest.raises(FileMissing):
        read_small(path, 5)


def test_a_path_that_cannot_be(tmp_path) -> None:
    with pytest.raises(SetupError):
        read_small(tmp_path / "a\0b", 5)
    with pytest.raises(SetupError, match="File name too long"):
        read_small(tmp_path / ("x" * 300), 5)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_with_and_without_a_mark(encoding) -> None:
    assert text_of("Küche".encode(encoding)) == "Küche"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_token_with_a_byte_order_mark(encoding, path) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    path.write_bytes(f"{mark}{TOKEN}\r\n".encode(encoding))
    assert read_token(path) == TOKEN


def make_folder(path: Path) -> None:
    path.mkdir()


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


def make_bad_text(path: Path) -> None:
    path.write_bytes(b"\xff" * 32)


def make_zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 32)


def make_nothing(path: Path) -> None:
    """No file."""


@pytest.mark.parametrize("make", [make_folder, make_huge, make_bad_text, make_zeros, make_nothing])
def test_a_token_file_that_is_none_is_one_line(make, path) -> None:
    make(path)
    with pytest.raises(SetupError) as raised:
        read_token(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_a_server_waits_for_no_pipe(path) -> None:
    os.mkfifo(path)
    with pytest.raises(SetupError, match="is not a regular file"):
        read_token(path)


def test_a_command_takes_its_token_from_a_pipe(path) -> None:
    """As from `--token-file <(pass show token)`."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(TOKEN,))
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that the writer may begin
    writer.start()
    writer.join()
    assert read_token(path, pipes=True) == TOKEN
    os.close(reader)


@pytest.mark.parametrize("make", [make_folder, make_huge, make_bad_text, os.mkfifo])
def test_a_cookie_key_that_is_none_is_replaced_for_as_long_as_the_server_runs(
    make, tmp_path, caplog
) -> None:
    make(tmp_path / KEY_FILE)
    settings = Settings(data=tmp_path)
    first, second = cookie_key(settings), cookie_key(settings)
    assert len(first) == len(second) == KEY_BYTES
    assert first != second
