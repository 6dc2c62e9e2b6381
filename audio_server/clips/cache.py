"""Encoded clips in a folder, so that a sound file is decoded once.

An entry is found by the content of its sound file, not by its name. It begins with a digest of the
rest and of the entry's name. So an entry that was damaged, cut short, renamed or written by another
version is made anew. The folder is not trusted beyond that: all fields of an entry are checked
before it is played.
"""

from __future__ import annotations

import hashlib
import logging
import re
import stat
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from io import BufferedReader
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from audio_server.clips.encoded_clip import EncodedClip, Source
from audio_server.clips.opus import PACKET_MAX_BYTES, is_sendable
from audio_server.files.folders import OpenFolder, is_part
from audio_server.files.home import is_nowhere

_log = logging.getLogger(__name__)

FORMAT = 3
"""Raise it when the same source would be encoded otherwise, or stored otherwise."""

CACHE_MAX_MIB = 1024
"""About 37 hours of sound."""

ENTRY_MAX_BYTES = 2**30
"""Far more than any entry has; a larger file is none, and is not read into memory."""

PART_MAX_S = 3600
"""A file that was not complete after so long never will be: its writer was killed."""

_DIGEST_BYTES = 32
_ENTRY = re.compile(r"([0-9a-f]{64}-[0-9]+(?:-[0-9]+)?)\.(clip|peaks)")


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    """The head of a clip's entry; the packets follow, one after the other."""

    source: Source
    sizes: list[Annotated[int, msgspec.Meta(ge=1, le=PACKET_MAX_BYTES)]]


class _Entry(NamedTuple):
    used_at: float
    size: int
    name: str
    key: str


def content_key(file: BufferedReader, loudness: int | None = None) -> str:
    """Return a name for the rest of `file`, for the format of the cache and for the loudness, in
    LUFS, to which sound is brought."""
    level = "" if loudness is None else f"-{-loudness}"
    return f"{hashlib.file_digest(file, 'sha256').hexdigest()}-{FORMAT}{level}"


class Cache:
    """The encoded clips in one folder. Any number of threads and processes may share it.

    Everything blocks, and nothing raises: where the folder cannot be used, a warning says so once.
    """

    def __init__(
        self, folder: Path, max_bytes: int | None = None, loudness: int | None = None
    ) -> None:
        """A cache that `trim` keeps below `max_bytes`, if that is given. `loudness`, in LUFS, is
        that of its clips; None leaves them as loud as their files."""
        self.loudness = loudness
        self._folder = folder
        self._max_bytes = max_bytes
        self._warned = is_nowhere(folder)  # that is said once, of all folders
        self._may_have_grown = True

    def get(self, key: str) -> EncodedClip | None:
        """Return the clip of `key`; None where there is none that can be played."""
        body = self.read(f"{key}.clip")
        return None if body is None else _parse(body)

    def put(self, key: str, clip: EncodedClip) -> None:
        """Store a clip."""
        self.write(f"{key}.clip", _body(clip))

    def read(self, name: str) -> bytes | None:
        """Return the content of an entry; None where it is missing, or not as it was written."""
        try:
            with OpenFolder(self._folder) as folder:
                entry = folder.read(name, ENTRY_MAX_BYTES)
                folder.touch(name)
        except (OSError, MemoryError):
            return None
        body = entry[_DIGEST_BYTES:]
        return body if _digest(name, body) == entry[:_DIGEST_BYTES] else None

    def write(self, name: str, body: bytes) -> None:
        """Store an entry, whole or not at all."""
        self._may_have_grown = True
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with OpenFolder(self._folder) as folder:
                # A power cut may take an entry, or leave half of it: then it is made anew.
                folder.write(name, _digest(name, body) + body, mode=0o600, durable=False)
        except OSError as error:
            self._warn("clips cannot be cached here", error)

    def trim(self, keys: Collection[str]) -> None:
        """Delete the entries that were not used for longest, until the others fit. Those of `keys`
        are in use and stay, even if they do not fit."""
        if self._max_bytes is None or not self._may_have_grown:
            return
        self._may_have_grown = False
        try:
            with OpenFolder(self._folder) as folder:
                _trim(folder, self._max_bytes, keys)
        except FileNotFoundError:
            return
        except OSError as error:
            self._warn("old clips cannot be deleted here", error)

    def _warn(self, text: str, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("%s: %s (%s)", self._folder, text, error.strerror)


def _trim(folder: OpenFolder, max_bytes: int, keys: Collection[str]) -> None:
    entries = sorted(_entries(folder))
    excess = sum(entry.size for entry in entries) - max_bytes
    refused: OSError | None = None
    for entry in entries:
        if excess <= 0:
            return
        if entry.key not in keys:
            try:
                folder.remove(entry.name)
            except OSError as error:
                refused = error
            else:
                excess -= entry.size
    if refused is not None:
        raise refused


def _entries(folder: OpenFolder) -> Iterable[_Entry]:
    """Yield the entries of a folder; delete the incomplete files of writers that were killed."""
    for file in folder.entries():
        match = _ENTRY.fullmatch(file.name)
        if not (match or is_part(file.name)):
            continue
        with suppress(FileNotFoundError):  # another process may be at it, too
            status = file.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                continue
            if match:
                yield _Entry(status.st_mtime, status.st_size, file.name, match[1])
            elif time.time() - status.st_mtime > PART_MAX_S:
                folder.discard(file.name)


def _digest(name: str, body: bytes) -> bytes:
    digest = hashlib.sha256(name.encode() + b"\0")
    digest.update(body)
    return digest.digest()


def _body(clip: EncodedClip) -> bytes:
    head = _Head(clip.source, [len(packet) for packet in clip.packets])
    return b"\n".join((msgspec.json.encode(head), b"".join(clip.packets)))


def _parse(body: bytes) -> EncodedClip | None:
    """The clip of an entry, if each packet can be sent to a device as it is."""
    text, _, sound = body.partition(b"\n")
    try:
        head = msgspec.json.decode(text, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, MemoryError):
        return None
    if not head.sizes or sum(head.sizes) != len(sound):
        return None
    edges = pairwise(accumulate(head.sizes, initial=0))
    packets = [sound[start:stop] for start, stop in edges]
    if not all(map(is_sendable, packets)):
        return None
    return EncodedClip(packets, head.source)
