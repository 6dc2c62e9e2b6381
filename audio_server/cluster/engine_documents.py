"""Documents and blobs in the engine.

A blob is read and written in parts, one request at a time, so that claims on the same connection
wait for one part at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import trio

from audio_server.cluster.interface import ClusterDown, ClusterSlow, Conflict, Document
from audio_server.cluster.link import Session
from audio_server.cluster.scripts import PUT_BLOB, PUT_DOCUMENT

CHANNEL = "as:documents"

PART_BYTES = 64 * 1024

ANSWER_S = 1.0
"""How long a document may take."""

PART_S = 5.0
"""How long a part of a blob may take: many nodes may fetch at the same time."""

UNNAMED_MS = 3_600_000
"""How long a blob is kept that no document names yet."""


class EngineDocuments:
    """A `Part` of a node, and its `Documents`."""

    channels = (CHANNEL,)

    def __init__(self) -> None:
        self._session: Session | None = None
        self._followers: list[Callable[[str | None], None]] = []

    @property
    def is_up(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def follow(self, renewed: Callable[[str | None], None]) -> None:
        """Have `renewed` called with the key of a document that is new; with None when a session
        begins, and any may be. A hint. It must not wait."""
        self._followers.append(renewed)

    def _renewed(self, key: str | None) -> None:
        for renewed in self._followers:
            renewed(key)

    # As a part

    async def run(self, session: Session) -> None:
        """Have a session until cancelled."""
        with self.using(session):
            self._renewed(None)
            await trio.sleep_forever()

    @contextmanager
    def using(self, session: Session) -> Iterator[None]:
        """Use a session for the block."""
        self._session = session
        try:
            yield
        finally:
            self._session = None

    def heard(self, channel: str, text: str) -> None:
        """Hear of a document."""
        self._renewed(text)

    # Documents

    async def document(self, key: str) -> Document:
        """Return the newest version of a document.

        Raises `ClusterDown`, and `ClusterSlow` where the engine does not answer within `ANSWER_S`.
        """
        with _within(ANSWER_S):
            version, data = await self._command("HMGET", _document(key), "v", "d")
        return Document(0, b"") if version is None else Document(int(version), data)

    async def put_document(
        self, key: str, version: int, data: bytes, blobs: Mapping[str, bytes]
    ) -> int:
        """Put the version after `version`, with the blobs that it names by their SHA-256, and
        return its number. Blobs that the engine has are not sent.

        Raises `Conflict` where another version is the newest, and the errors of `document`; a slow
        engine may have put it. A cancel leaves parts of blobs behind, which are gone after a while.
        """
        while True:
            args = version, data, " ".join(blobs)
            with _within(ANSWER_S):
                what, *told = await self._call(PUT_DOCUMENT, _document(key), *args)
            if what == "conflict":
                raise Conflict(key)
            if what == "done":
                return int(told[0])
            for sha in told:
                await self._put_blob(sha, blobs[sha])

    # Blobs

    async def blob(self, sha: str) -> bytes:
        """Return a blob, read part by part. Raises `KeyError` for one that is not there or not
        whole, and the errors of `document`, for each part with `PART_S`."""
        key, data = _blob(sha), bytearray()
        with _within(PART_S):
            size = await self._command("HGET", key, "s")
        if size is None:
            raise KeyError(sha)
        while len(data) < int(size):
            with _within(PART_S):
                part = await self._command("HGET", key, len(data) // PART_BYTES)
            if not part:
                raise KeyError(sha)
            data += part
        blob = bytes(data)
        if await trio.to_thread.run_sync(_sha_of, blob) != sha:
            raise KeyError(sha)
        return blob

    async def _put_blob(self, sha: str, data: bytes) -> None:
        key = _blob(sha)
        with _within(PART_S):
            if await self._command("HEXISTS", key, "s"):
                return
        for number, start in enumerate(range(0, len(data), PART_BYTES)):
            part = data[start : start + PART_BYTES]
            with _within(PART_S):
                what, *_ = await self._call(PUT_BLOB, key, number, part, UNNAMED_MS)
            if what == "whole":  # by another node
                return
        with _within(PART_S):
            await self._call(PUT_BLOB, key, "s", len(data), UNNAMED_MS)

    async def _command(self, *words: Any) -> Any:
        if self._session is None:
            raise ClusterDown
        return await self._session.command(*words)

    async def _call(self, script: str, key: str, *args: Any) -> Any:
        if self._session is None:
            raise ClusterDown
        return await self._session.call(script, key, *args)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise `ClusterSlow` where the block takes longer."""
    with trio.move_on_after(seconds) as patience:
        yield
    if patience.cancelled_caught:
        raise ClusterSlow


def _sha_of(data: bytes) -> str:
    return sha256(data).hexdigest()


def _document(key: str) -> str:
    return f"as:p:{key}"


def _blob(sha: str) -> str:
    return f"as:b:{sha}"
