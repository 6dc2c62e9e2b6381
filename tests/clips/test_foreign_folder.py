"""A folder of clips from elsewhere: nothing outside of it is read, changed or deleted."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clip_folder import names

from audio_server.clips import folder_ops
from audio_server.clips.errors import ClipError
from audio_server.clips.folder import clip_files
from audio_server.clips.journal import PLAN, PLAN_MAX_BYTES

FILES = {"00-a.opus": "A", "01-b.wav": "B"}
HEX = "0123456789abcdef" * 2
PART, OTHER_PART = f".{HEX}.part", f".{HEX[::-1]}.part"


@pytest.fixture
def home(folder: Path) -> Path:
    """What is around the folder."""
    for name, content in FILES.items():
        (folder / name).write_text(content)
    (folder / "notes.txt").write_text("key of somebody else")
    home = folder.parent
    (home / "precious").write_text("mine")
    (home / "authorized_keys").write_text("mine")
    return home


def plan(renames: object = (), through: object = (), **more: object) -> bytes:
    return json.dumps({"renames": dict(renames), "through": dict(through), **more}).encode()  # type: ignore[call-overload]


FOREIGN: dict[str, bytes] = {
    "an older plan": json.dumps(
        {"renames": {"notes.txt": "../authorized_keys"}, "removes": ["../precious"]}
    ).encode(),
    "removes too": plan(removes=["../precious"]),
    "out of the folder": plan({"00-a.opus": "../authorized_keys"}),
    "into the folder": plan({"../precious": "02-c.opus"}),
    "an absolute path": plan({"/etc/hostname": "02-c.opus"}),
    "the folder itself": plan({".": "02-c.opus"}),
    "its parent": plan({"..": "02-c.opus"}),
    "no name": plan({"": "02-c.opus"}),
    "NUL": plan({"00-a.opus": "a\0b.opus"}),
    "a document": plan({"notes.txt": "02-c.opus"}),
    "to a document": plan({"00-a.opus": "notes.txt"}),
    "a hidden file": plan({"00-a.opus": ".bashrc"}),
    "a surrogate": plan({"00-a.opus": "00-\ud800.opus"}),
    "a long name": plan({"00-a.opus": f"00-{'x' * 300}.opus"}),
    "a long name in bytes": plan({"00-a.opus": f"00-{'é' * 130}.opus"}),
    "itself": plan({"00-a.opus": PLAN}),
    "through elsewhere": plan({"00-a.opus": "02-c.opus"}, {"00-a.opus": f"../{PART}"}),
    "through a clip": plan({"00-a.opus": "02-c.opus"}, {"00-a.opus": "01-b.wav"}),
    "through one name": plan(
        {"00-a.opus": "02-c.opus", "01-b.wav": "03-d.wav"}, {"00-a.opus": PART, "01-b.wav": PART}
    ),
    "through some": plan({"00-a.opus": "02-c.opus", "01-b.wav": "03-d.wav"}, {"00-a.opus": PART}),
    "one name twice": plan({"00-a.opus": "02-c.opus", "01-b.wav": "02-c.opus"}),
    "all removed": plan({"00-a.opus": PART, "01-b.wav": OTHER_PART}),
    "numbers": plan({"00-a.opus": 3}),
    "a list": b"[]",
    "empty": b"",
    "no text": b"\xff\xfe\x00",
    "another type": b'{"renames": 3, "through": []}',
    "nested": b"[" * 100_000,
    "nested and whole": b"[" * 100_000 + b"]" * 100_000,
    "nested names": b'{"renames":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b',"through":{}}',
    "a long number": b'{"renames": ' + b"9" * 10_000 + b"}",
}


def around(home: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in home.iterdir() if path.is_file()}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_foreign_plan_is_not_obeyed(
    what: str, home: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = around(home)
    (folder / PLAN).write_bytes(FOREIGN[what])
    assert [file.name for file in clip_files(folder)] == list(FILES)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{folder / PLAN}: is not obeyed: it ")
    assert "\n" not in record.getMessage()
    folder_ops.place(folder, "new", b"N")
    folder_ops.reorder(folder, ["02-new.opus", "01-b.wav", "00-a.opus"])
    folder_ops.remove(folder, "00-new.opus")
    assert around(home) == before
    assert names(folder) == ["01-b.wav", "02-a.opus", "notes.txt"]
    assert (folder / "notes.txt").read_text() == "key of somebody else"


def link_to_a_plan(path: Path) -> None:
    elsewhere = path.parent.parent / "plan.json"
    elsewhere.write_bytes(plan({"00-a.opus": "02-c.opus"}))
    path.symlink_to(elsewhere)


def listen(path: Path) -> None:
    os.chdir(path.parent)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, PLAN_MAX_BYTES + 1)


NO_FILES: dict[str, Callable[[Path], object]] = {
    "a link to a plan": link_to_a_plan,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a pipe": os.mkfifo,
    "a socket": listen,
    "a file without end": sparse,
}


@pytest.mark.parametrize("what", NO_FILES)
def test_a_plan_is_a_small_file(
    what: str, home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    NO_FILES[what](folder / PLAN)
    before = around(home)
    assert [file.name for file in clip_files(folder)] == list(FILES)
    folder_ops.reorder(folder, ["01-b.wav", "00-a.opus"])
    assert [file.name for file in clip_files(folder)] == ["00-b.wav", "01-a.opus"]
    assert names(folder) == ["00-b.wav", "01-a.opus", "notes.txt"]
    assert around(home) == before


def test_a_folder_in_place_of_a_plan_is_named(
    home: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / PLAN).mkdir()
    assert [file.name for file in clip_files(folder)] == list(FILES)
    assert str(folder / PLAN) in caplog.text
    with pytest.raises(ClipError, match="cannot be written to"):
        folder_ops.reorder(folder, ["01-b.wav", "00-a.opus"])
    assert [file.name for file in clip_files(folder)] == list(FILES)


def test_a_plan_that_cannot_be_read_is_named(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a change that another user has begun."""
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, **kwargs: Any) -> int:
        if path == PLAN:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, mode, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    for act in (clip_files, lambda at: folder_ops.remove(at, "00-a.opus")):
        with pytest.raises(ClipError, match=rf"{PLAN}: cannot be read \(Permission denied\)"):
            act(folder)
    assert "00-a.opus" in names(folder)


def test_files_that_a_plan_may_need_are_kept_beside_one_that_is_not_obeyed(
    home: Path, folder: Path
) -> None:
    (folder / PART).write_text("a clip on its way to another name")
    (folder / PLAN).write_bytes(b"damaged")
    folder_ops.place(folder, "new", b"N")
    assert PART in names(folder)


def test_a_plan_of_ours_is_carried_out(home: Path, folder: Path) -> None:
    (folder / PLAN).write_bytes(plan({"00-a.opus": "02-c.opus"}))
    assert [file.name for file in clip_files(folder)] == ["01-b.wav", "02-c.opus"]
    folder_ops.place(folder, "new", b"N")
    assert names(folder) == ["01-b.wav", "02-c.opus", "03-new.opus", "notes.txt"]


def test_a_file_that_took_the_name_meanwhile_is_not_overwritten(home: Path, folder: Path) -> None:
    (folder / PLAN).write_bytes(plan({"00-a.opus": "02-c.opus"}))
    (folder / "02-c.opus").write_text("C")
    folder_ops.place(folder, "new", b"N")
    assert [file.path.read_text() for file in clip_files(folder)] == ["B", "A", "C", "N"]


def test_a_clips_folder_may_be_a_link(home: Path, folder: Path) -> None:
    (home / "link").symlink_to(folder)
    folder_ops.place(home / "link", "new", b"N")
    assert "02-new.opus" in names(folder)


@pytest.mark.parametrize("link", ["clip", "part"])
def test_links_in_the_folder_lead_nowhere_for_changes(link: str, home: Path, folder: Path) -> None:
    at = folder / ("02-c.opus" if link == "clip" else PART)
    at.symlink_to(home / "precious")
    folder_ops.place(folder, "new", b"N")
    last = [file.name for file in clip_files(folder)][-1]
    folder_ops.replace(folder, "02-c.opus" if link == "clip" else last, b"M")
    assert (home / "precious").read_text() == "mine"
