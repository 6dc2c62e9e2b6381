"""The operators' token and the key of their cookies: files, made at the first start with them.

Everything here blocks.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

import structlog

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.files.small_file import read_token
from audio_server.settings import Settings

TOKEN_FILE = "http-token"
"""Name of the file in the data folder."""

KEY_FILE = "http-key"
"""And the one with the key that signs cookies."""

ENDED_FILE = "http-ended"
"""And the one with sessions that were ended by logging out."""

KEY_BYTES = 32

LENGTH_MIN = 16
"""Shorter tokens can be guessed."""

log = structlog.get_logger()


def token_file(settings: Settings, *, loopback: bool) -> Path | None:
    """Return the path of the token; None where no token is needed.

    Raises `SetupError` where one is needed and there is no folder to keep it in.
    """
    if settings.http_token_file is not None:
        return settings.http_token_file
    if loopback:
        return None
    if settings.data is None:
        reason = "beyond loopback operators need a token: --http-token-file, or a data folder"
        raise SetupError("--http", reason)
    path = settings.data / TOKEN_FILE
    _make(path)
    return path


def cookie_key(settings: Settings) -> bytes:
    """Return the key that signs cookies; a new one each time where there is no folder to keep
    it."""
    try:
        if settings.data is not None:
            _make(settings.data / KEY_FILE)
            key = bytes.fromhex(read_token(settings.data / KEY_FILE))
            if len(key) == KEY_BYTES:
                return key
            raise ValueError(f"{KEY_FILE} holds no key")
    except (SetupError, ValueError) as error:
        log.warning("browsers have to log in anew after a restart", reason=str(error))
    return secrets.token_bytes(KEY_BYTES)


def _make(path: Path) -> None:
    """Make the file, which is its owner's alone; one that is there stays as it is."""
    try:
        if path.exists():
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        token = f"{secrets.token_hex(KEY_BYTES)}\n".encode()
        # If another server is faster, its token counts.
        with OpenFolder(path.parent) as folder, suppress(FileExistsError):
            folder.create(path.name, token, mode=0o600)
    except OSError as error:
        raise SetupError(path, error.strerror or str(error)) from error
