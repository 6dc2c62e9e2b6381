"""The file of tokens: what is in it, who may read it, and what two commands at once do to it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from audio_server.identity.tokens import (
    TOKENS_MAX_BYTES,
    TokenError,
    enroll,
    hash_token,
    read_tokens,
    revoke,
)

HASH, AT = "ab" * 32, "2026-01-02T03:04:05+00:00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "tokens.json"


def test_nobody_is_enrolled_where_there_is_no_file(path) -> None:
    assert read_tokens(path) == {}


def test_a_device_gets_a_token_and_the_file_its_hash(path) -> None:
    token = enroll(path, "kitchen")
    assert len(bytes.fromhex(token)) == 32
    assert token not in path.read_text()
    assert read_tokens(path)["kitchen"].token_hash == hash_token(token)


def test_every_token_is_another(path) -> None:
    assert len({enroll(path, f"device-{number}") for number in range(5)}) == 5


def test_a_device_has_one_token(path) -> None:
    enroll(path, "kitchen")
    before = path.read_bytes()
    with pytest.raises(TokenError, match="kitchen is enrolled already; revoke it first"):
        enroll(path, "kitchen")
    assert path.read_bytes() == before


def test_revoking(path) -> None:
    enroll(path, "kitchen")
    enroll(path, "hall")
    revoke(path, "kitchen")
    assert list(read_tokens(path)) == ["hall"]
    with pytest.raises(TokenError, match="kitchen is not enrolled"):
        revoke(path, "kitchen")


def test_nobody_else_may_read_it(path) -> None:
    for device_id in ("kitchen", "hall"):
        enroll(path, device_id)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(file.name for file in path.parent.iterdir()) == ["tokens.json", "tokens.lock"]


def test_commands_at_once_lose_nothing(path) -> None:
    ids = [f"device-{number:02}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda device_id: enroll(path, device_id), ids))
    enrolments = read_tokens(path)
    assert [enrolments[device_id].token_hash for device_id in ids] == list(map(hash_token, tokens))


def test_a_disk_without_locks_and_fsync_of_folders_will_do(path, monkeypatch) -> None:
    def refuse(fd: int, *_: object) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode) or _:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr("fcntl.flock", refuse)
    enroll(path, "kitchen")
    enroll(path, "hall")
    assert list(read_tokens(path)) == ["hall", "kitchen"]


def test_a_command_that_hangs_is_not_waited_for(path, monkeypatch) -> None:
    monkeypatch.setattr("audio_server.identity.tokens.LOCKED_S", 0)
    enroll(path, "kitchen")
    with path.with_suffix(".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TokenError, match="is being changed by another command"):
            enroll(path, "hall")


def test_a_write_that_fails_leaves_the_file(path, monkeypatch) -> None:
    enroll(path, "kitchen")
    before = path.read_bytes()

    def fail(_: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no room"):
        enroll(path, "hall")
    assert path.read_bytes() == before
    assert sorted(file.name for file in path.parent.iterdir()) == ["tokens.json", "tokens.lock"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        json.dumps({"version": 1, "devices": {"kitchen": {"sha256": "no hex", "enrolled": ""}}}),
        json.dumps({"version": 1, "devices": {"kitchen": {"enrolled": ""}}}),
        json.dumps({"version": 1, "devices": ["kitchen"]}),
        json.dumps({"version": 1, "devices": {"kitchen": None}}),
        json.dumps({"version": 1, "devices": {"kitchen": {"sha256": "ab", "enrolled": AT}}}),
        json.dumps({"version": 1, "devices": {"kitchen": {"sha256": 12, "enrolled": AT}}}),
        json.dumps({"version": 1, "devices": {"kitchen": {"sha256": HASH, "enrolled": 12}}}),
        json.dumps({"version": 1, "devices": {"kitchen": {"sha256": HASH, "enrolled": "\x1b"}}}),
        json.dumps({"version": 1, "devices": {"a/\x1b": {"sha256": HASH, "enrolled": AT}}}),
        '{"version": 1, "devices": {"a": null, "a": {"sha256": "HASH", "enrolled": "AT"}}}'.replace(
            "HASH", HASH
        ).replace("AT", AT),
        '{"version": 1, "devices": {}, "devices": {}}',
        "[" * 200_000,
        '{"version": 1, "devices": ' + '{"a":' * 200_000,
        '{"version": ' + "9" * 5000 + "}",
        b"\xff\xfe\x00",
    ],
)
def test_a_file_that_is_none_of_ours(content, path) -> None:
    path.parent.mkdir()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TokenError, match=r"tokens\.json: is not a file of tokens"):
        read_tokens(path)


def test_a_file_of_another_version(path) -> None:
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 2, "devices": {}}))
    with pytest.raises(TokenError, match="is of version 2, not 1"):
        read_tokens(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_no_fault(encoding, path) -> None:
    enroll(path, "kitchen")
    before = read_tokens(path)
    path.write_text(path.read_text(), encoding=encoding)
    assert read_tokens(path) == before


def make_folder(path: Path) -> None:
    path.mkdir()


def make_huge(path: Path) -> None:
    path.touch()
    os.truncate(path, TOKENS_MAX_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_folder, "Is a directory"),
        (os.mkfifo, "is not a regular file"),
        (make_huge, "is larger than 16777216 bytes"),
        (lambda path: path.symlink_to(path), "Too many levels of symbolic links"),
    ],
)
def test_what_is_no_file_is_one_line(make, reason, path) -> None:
    path.parent.mkdir()
    make(path)
    with pytest.raises(TokenError) as raised:
        read_tokens(path)
    assert str(raised.value) == f"{path}: {reason}"
