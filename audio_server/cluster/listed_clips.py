"""Clips that are a list of a document, not a folder: their changes, by any node."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from contextlib import contextmanager

import trio

from audio_server.clips.clip import Clip
from audio_server.clips.clip_info import ClipInfo
from audio_server.clips.errors import ClipsChanged, ClipsUnavailable
from audio_server.clips.listing_ops import (
    Listed,
    added,
    check_title,
    index_of,
    removed,
    renamed,
    reordered,
    replaced,
)
from audio_server.clips.naming import clean_title, title_of_file
from audio_server.clips.repository import Repository
from audio_server.clips.suffixes import check_complete
from audio_server.clips.upload import receive_clip
from audio_server.cluster.clip_store import clip_of
from audio_server.cluster.interface import ClusterDown, ClusterSlow, Conflict


class Missing(Exception):
    """The document names a clip that is not there."""


class ListedClips(Repository):
    """A `Repository` whose changes are made by `_alter`, which raises the errors of `explained`;
    `_is_up` tells whether one could be kept now."""

    @abstractmethod
    async def _alter(
        self, change: Callable[[Sequence[Listed]], Sequence[Listed]]
    ) -> Sequence[Listed]:
        """Make a change of the newest clips, and play them."""

    @abstractmethod
    def _is_up(self) -> bool:
        """Whether a change can be kept."""

    async def look(self) -> None:
        """Nothing is fixed here."""
        self.fixed_because = None

    async def upload(self, name: str, parts: AsyncIterable[bytes]) -> ClipInfo:
        """Add a sound file of that name, of any common format; it gets the next mode."""
        title = clean_title(title_of_file(name))
        check_complete(name)
        check_title(title)
        clip, sha = await self._received(name, parts)
        listed = await self._alter(lambda clips: added(clips, title, sha, clip))
        return self.find(listed[-1].file)

    async def replace(self, name: str, parts: AsyncIterable[bytes]) -> ClipInfo:
        """Have a clip be another sound file, of any format; it keeps its mode and name."""
        mode = self.find(name).mode
        clip, sha = await self._received(name, parts)
        listed = await self._alter(lambda clips: replaced(clips, name, sha, clip))
        return self.entries[min(mode, len(listed) - 1)]

    async def remove(self, name: str) -> None:
        """Remove a clip. There has to be another one."""
        await self._alter(lambda clips: removed(clips, name))

    async def rename(self, name: str, title: str) -> ClipInfo:
        """Give a clip another title; it keeps its mode and its sound."""
        title, modes = clean_title(title), []

        def change(clips: Sequence[Listed]) -> Sequence[Listed]:
            modes.append(index_of(clips, name))
            return renamed(clips, name, title)

        await self._alter(change)
        return self.entries[modes[-1]]

    async def reorder(self, names: Sequence[str]) -> None:
        """Have the modes in this order, which has every clip once."""
        await self._alter(lambda clips: reordered(clips, names))

    async def _received(self, name: str, parts: AsyncIterable[bytes]) -> tuple[Clip, str]:
        """Return the clip of a file that comes, and the hash of its frames."""
        with explained():
            if not self._is_up():  # before the file is taken
                raise ClusterDown
        async with self._places.uploads:
            encoded = await receive_clip(
                name,
                parts,
                max_bytes=self.max_bytes,
                decoding=self._places.decoding,
                loudness=self.cache.loudness,
            )
        return await trio.to_thread.run_sync(clip_of, name, encoded)


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error of the cluster into one of clips."""
    try:
        yield
    except Conflict:
        reason = "another node has changed them meanwhile; look at them, and try again"
        raise ClipsChanged("clips", reason) from None
    except ClusterSlow:
        reason = "the cluster does not answer: the change may still be made"
        raise ClipsUnavailable("clips", reason) from None
    except ClusterDown:
        reason = "the cluster is down: nothing has changed; try again"
        raise ClipsUnavailable("clips", reason) from None
    except Missing as error:
        raise ClipsUnavailable("clips", str(error)) from None
