"""The file of device tokens: which devices are enrolled, and the hash of each one's token.

A token is 32 random bytes, so its hash can be fast: nobody can try 2^256 of them. (Slow hashes
are for what people think up.) Who reads the file can neither be a device nor learn its token.

Everything here blocks.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audio_server.errors import SetupError

TOKENS_FILE = "tokens.json"
"""What the file is called in the data folder."""

VERSION = 1

_TOKEN_BYTES = 32


class TokenError(SetupError):
    """The file of tokens, or what was to be done to it, is not as it should be."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is known of a device that has a token."""

    device_id: str
    token_hash: bytes
    enrolled_at: str
    """UTC, as ISO 8601 has it."""


Enrolments = dict[str, Enrolment]


def hash_token(token: str) -> bytes:
    """What is kept of a token, or whatever else was sent as one: 32 bytes."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def read_tokens(path: Path) -> Enrolments:
    """All devices that are enrolled; none where there is no file. Raises `TokenError`."""
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != VERSION:
            raise TokenError(path, f"is of version {content['version']}, not {VERSION}")
        return {device_id: _enrolment(device_id, entry) for device_id, entry in _entries(content)}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise TokenError(path, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenError(path, "is not a file of tokens") from error


def enroll(path: Path, device_id: str) -> str:
    """Give a device a token, which is told here and never again.

    Raises `TokenError` for one that has a token, and `OSError`.
    """
    with _locked(path):
        enrolments = read_tokens(path)
        if device_id in enrolments:
            raise TokenError(path, f"{device_id} is enrolled already; revoke it first")
        # In hexadecimal: other alphabets have a hyphen, which a command takes for a flag's.
        token = secrets.token_hex(_TOKEN_BYTES)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        enrolments[device_id] = Enrolment(device_id, hash_token(token), now)
        _write(path, enrolments)
    return token


def revoke(path: Path, device_id: str) -> None:
    """Take a device's token away. Raises `TokenError` for one that has none, and `OSError`."""
    with _locked(path):
        enrolments = read_tokens(path)
        if enrolments.pop(device_id, None) is None:
            raise TokenError(path, f"{device_id} is not enrolled")
        _write(path, enrolments)


def _entries(content: Any) -> Any:
    return content["devices"].items()


def _enrolment(device_id: str, entry: Any) -> Enrolment:
    return Enrolment(device_id, bytes.fromhex(entry["sha256"]), str(entry["enrolled"]))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One command at a time: two that read and write at once would lose a device."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _write(path: Path, enrolments: Enrolments) -> None:
    """Replace the file in one step, so that a server reads the old one or the new one."""
    devices = {
        device_id: {"sha256": enrolment.token_hash.hex(), "enrolled": enrolment.enrolled_at}
        for device_id, enrolment in sorted(enrolments.items())
    }
    # A temporary file is its owner's alone (0600) from the first.
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=".tokens-")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump({"version": VERSION, "devices": devices}, file, indent=1)
            file.flush()
            os.fsync(fd)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
