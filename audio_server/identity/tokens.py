"""The file of device tokens: the enrolled devices, and the hash of each one's token.

A token is 32 random bytes, so its hash can be fast: 2^256 of them cannot be tried. (Slow hashes are
for passwords that people choose.) A reader of the file can neither be a device nor learn its token.

Everything here blocks.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder, lock
from audio_server.files.small_file import FileMissing, read_small, text_of
from audio_server.wire.device_ids import is_device_id

TOKENS_FILE = "tokens.json"
"""Name of the file in the data folder."""

VERSION = 1

TOKENS_MAX_BYTES = 16 * 1024 * 1024
"""How large the file may be: enough for 100,000 devices. To read more would stop the loop for as
long as sound is heard to break off."""

LOCKED_S = 10.0
"""How long another command may have the file locked. A write takes milliseconds."""

_TOKEN_BYTES = 32
_HASH_BYTES = 32


class TokenError(SetupError):
    """The file of tokens is unusable, or a change of it is impossible."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The record of a device that has a token."""

    device_id: str
    token_hash: bytes
    enrolled_at: str
    """UTC, as ISO 8601 has it."""


Enrolments = dict[str, Enrolment]


def hash_token(token: str) -> bytes:
    """Return the hash of a token, or of any other text in its place: 32 bytes."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def read_tokens(path: Path) -> Enrolments:
    """All devices that are enrolled; none where there is no file. Raises `TokenError`."""
    try:
        content = read_small(path, TOKENS_MAX_BYTES)
    except FileMissing:
        return {}
    except SetupError as error:
        raise TokenError(path, error.reason) from error
    try:
        return _parse(path, content)
    except TokenError:
        raise
    except Exception as error:  # any fault of the content: brackets nested too deep, for one
        raise TokenError(path, "is not a file of tokens") from error


def _parse(path: Path, text: bytes) -> Enrolments:
    content = json.loads(text_of(text), object_pairs_hook=_without_doubles)
    if content["version"] != VERSION:
        raise TokenError(path, f"is of version {content['version']!r:.20}, not {VERSION}")
    return {name: _enrolment(name, entry) for name, entry in content["devices"].items()}


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a file that says two things of one device: one of them might be a revoked token."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name is there twice")
    return content


def enroll(path: Path, device_id: str) -> str:
    """Give a device a token, which is told here and never again.

    Raises `TokenError` for one that has a token, and `OSError`.
    """
    with _locked(path):
        enrolments = read_tokens(path)
        if device_id in enrolments:
            raise TokenError(path, f"{device_id} is enrolled already; revoke it first")
        token, enrolments[device_id] = new_token(device_id)
        _write(path, enrolments)
    return token


def new_token(device_id: str) -> tuple[str, Enrolment]:
    """Return a new token for a device, and the record of it."""
    # In hexadecimal: other alphabets have a hyphen, which a command takes for a flag's.
    token = secrets.token_hex(_TOKEN_BYTES)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return token, Enrolment(device_id, hash_token(token), now)


def revoke(path: Path, device_id: str) -> None:
    """Take a device's token away. Raises `TokenError` for one that has none, and `OSError`."""
    with _locked(path):
        enrolments = read_tokens(path)
        if enrolments.pop(device_id, None) is None:
            raise TokenError(path, f"{device_id} is not enrolled")
        _write(path, enrolments)


def _enrolment(device_id: str, entry: Any) -> Enrolment:
    token_hash, at = bytes.fromhex(entry["sha256"]), entry["enrolled"]
    datetime.fromisoformat(at)
    if not is_device_id(device_id) or len(token_hash) != _HASH_BYTES:
        raise ValueError("is no device with a token")
    return Enrolment(device_id, token_hash, at)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One command at a time: two that read and write at once would lose a device."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        lock(fd, LOCKED_S)
        yield
    except TimeoutError as error:
        raise TokenError(path, "is being changed by another command; try again") from error
    finally:
        os.close(fd)


def _write(path: Path, enrolments: Enrolments) -> None:
    """Replace the file in one step, so that a server reads the old one or the new one."""
    devices = {
        device_id: {"sha256": enrolment.token_hash.hex(), "enrolled": enrolment.enrolled_at}
        for device_id, enrolment in sorted(enrolments.items())
    }
    content = json.dumps({"version": VERSION, "devices": devices}, indent=1)
    with OpenFolder(path.parent) as folder:
        folder.write(path.name, content.encode(), mode=0o600)
