"""Prepared clips on disk, found by what their source holds and not by what it is called.

An entry is a SHA-256 of all that follows it, one line of JSON (the source, and the size
of each packet) and the packets; what else is kept of a clip has an entry beside it. It is
written beside its place and renamed into it, so that it is there whole or not at all;
whatever is wrong with one, it is made again. The folder may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from io import BufferedReader
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import NamedTemporaryFile

from audio_server.clips.clip import Source
from audio_server.clips.encoded_clip import EncodedClip

_log = logging.getLogger(__name__)

FORMAT = 1
"""To be raised when the same source would be prepared otherwise, or stored otherwise."""

_DIGEST_BYTES = 32


def content_key(file: BufferedReader) -> str:
    """Names what `file` holds (and the format of the cache), from its current position on."""
    return f"{hashlib.file_digest(file, 'sha256').hexdigest()}-{FORMAT}"


class Cache:
    """The prepared clips in one folder. Any number of threads and processes may share it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warned = False

    def get(self, key: str) -> EncodedClip | None:
        """What was stored under `key`; None where it is not there, or not as it was written."""
        body = self.read(f"{key}.clip")
        return None if body is None else _parse(body)

    def put(self, key: str, prepared: EncodedClip) -> None:
        """Store; where that fails a warning says so, once, and nothing is left behind."""
        self.write(f"{key}.clip", _body(prepared))

    def read(self, name: str) -> bytes | None:
        """What was written as `name`; None where it is not there, or not as it was written."""
        try:
            entry = (self._folder / name).read_bytes()
        except OSError:
            return None
        body = entry[_DIGEST_BYTES:]
        return body if hashlib.sha256(body).digest() == entry[:_DIGEST_BYTES] else None

    def write(self, name: str, body: bytes) -> None:
        """As `put`, whatever it is."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(self._folder / name, hashlib.sha256(body).digest() + body)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("%s: clips cannot be cached here (%s)", self._folder, error.strerror)


def _body(prepared: EncodedClip) -> bytes:
    sizes = [len(packet) for packet in prepared.packets]
    head = json.dumps({"source": asdict(prepared.source), "sizes": sizes}).encode()
    return b"\n".join((head, b"".join(prepared.packets)))


def _parse(body: bytes) -> EncodedClip:
    head, _, sound = body.partition(b"\n")
    fields = json.loads(head)
    edges = pairwise(accumulate(fields["sizes"], initial=0))
    return EncodedClip([sound[start:stop] for start, stop in edges], Source(**fields["source"]))


def _write_atomically(path: Path, data: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(data)
            file.close()
            temporary.replace(path)
        except BaseException:
            temporary.unlink()
            raise
