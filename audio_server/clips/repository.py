"""The clips of a running server, and their changes.

Every change is one of the folder first, then the folder is read again, and then the clips are
swapped. So a folder that was changed by hand and a change through the API take the same way, and
the clips are always those that a server started now would play.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar, TypeVarTuple, Unpack

import structlog
import trio
from trio_util import AsyncValue

from audio_server.clips import folder_ops
from audio_server.clips.cache import CACHE_MAX_MIB, Cache
from audio_server.clips.clip import Clip
from audio_server.clips.clip_info import ClipInfo, entries_of
from audio_server.clips.clip_reader import Loaded
from audio_server.clips.errors import ClipError, ClipsFixed
from audio_server.clips.folder import has_clips, why_fixed
from audio_server.clips.left_out import LeftOut
from audio_server.clips.loader import Progress, load_files
from audio_server.clips.naming import Finder, clean_title, title_of_file
from audio_server.clips.ogg import opus_bytes
from audio_server.clips.own_folder import make_own
from audio_server.clips.peaks import peaks
from audio_server.clips.sounds import sound_of
from audio_server.clips.suffixes import check_complete
from audio_server.clips.upload import UPLOAD_MAX_MIB, receive, receive_as

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

UPLOADS_MAX = 16
"""How many files may come at the same time; one more waits. Each is bounded in time (`upload`)."""

DECODED_MAX = 2
"""How many of those that have come are decoded at the same time: each may take memory."""

Use: TypeAlias = Callable[[Sequence[Clip]], Awaitable[None]]
"""Has other clips played from now on; returns when they are."""

log = structlog.get_logger()


class Places:
    """The bounds of uploads, and of the work on sound, which several repositories may share."""

    def __init__(self) -> None:
        self.uploads = trio.CapacityLimiter(UPLOADS_MAX)
        self.decoding = trio.CapacityLimiter(DECODED_MAX)
        self.drawing = trio.CapacityLimiter(1)


class Repository:
    """The clips of `folder` as they were loaded last. A file that comes may have `max_bytes`.
    `own` takes the place of the folder at the first change, or as soon as there are clips in it.
    The bounds of uploads are those of the repository `beside` it.

    Changes come one after the other. Each raises `ClipError`, and then nothing has changed; when it
    returns, the clips are played. A cancel may leave a folder that has changed and clips that have
    not: `reload`.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path | Cache,
        loaded: Sequence[Loaded],
        *,
        max_bytes: int = UPLOAD_MAX_MIB << 20,
        left_out: LeftOut | None = None,
        own: Path | None = None,
        beside: Repository | None = None,
    ) -> None:
        self.folder = folder
        self._own = own
        self.max_bytes: int = max_bytes if beside is None else beside.max_bytes
        self.version = AsyncValue(0)  # one more with each change
        self._cache = cache if isinstance(cache, Cache) else Cache(cache)
        self.fixed_because: str | None = None
        """Why nothing can be changed here, in a line, as `look` found last; None where it can."""
        self._use: Use = at_once(lambda clips: None)
        self._change = trio.Lock()
        self._places: Places = Places() if beside is None else beside._places
        self._left_out = left_out or LeftOut()
        self._others: Callable[[], Sequence[Loaded]] = lambda: ()
        self._shown = _Shown(loaded)

    # -- queries

    @property
    def decoding(self) -> trio.CapacityLimiter:
        """The places of sounds that are decoded at the same time."""
        return self._places.decoding

    @property
    def entries(self) -> Sequence[ClipInfo]:
        """The clips in force; the index is the mode."""
        return self._shown.entries

    @property
    def clips(self) -> Sequence[Clip]:
        """The same, with its sound."""
        return self._shown.clips

    @property
    def loaded(self) -> Sequence[Loaded]:
        """The same, each with the key of its content."""
        return self._shown.loaded

    @property
    def cache(self) -> Cache:
        """Where clips are kept once they are Opus."""
        return self._cache

    @property
    def in_use(self) -> Sequence[Loaded]:
        """All clips in force, with those of `share`."""
        return *self._shown.loaded, *self._others()

    @property
    def is_own(self) -> bool:
        """Whether the folder is that of those whose clips these are: false for a group that has
        the clips of all devices until it changes one."""
        return True

    def find(self, name: str) -> ClipInfo:
        """The clip of that file, name or title. Raises `NoSuchClip`, or `ClipError` for a title
        that several have."""
        return self._shown.find(name)

    async def peaks(self, name: str, points: int) -> list[float]:
        """The waveform of a clip, as `peaks.peaks` has it."""
        one = self._shown.loaded[self.find(name).mode]
        async with self._places.drawing:
            drawn = await peaks(one.clip, points, one.key, self._cache)
        keys = {one.key for one in self.in_use}
        await trio.to_thread.run_sync(self._cache.trim, keys, limiter=self._places.drawing)
        return drawn

    async def sound(self, name: str) -> bytes:
        """A clip as an Ogg Opus file, its packets bit for bit as devices get them."""
        clip = self._shown.clips[self.find(name).mode]
        return await trio.to_thread.run_sync(lambda: opus_bytes(list(clip.sound())))

    async def receive_sound(self, name: str, parts: AsyncIterable[bytes]) -> Clip:
        """Return the sound of a file that is no clip of the folder and is not kept. It shares the
        bounds of uploads, and lasts no longer than `sounds.SOUND_MAX_S`."""
        async with self._places.uploads:
            return await receive_as(
                partial(sound_of, loudness=self._cache.loudness),
                name,
                parts,
                None,
                max_bytes=self.max_bytes,
                decoding=self._places.decoding,
            )

    # -- how it changes

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Keep up with changes that come by themselves for the block; here none do."""
        yield

    def used_by(self, use: Use) -> None:
        """Have `use` called with the clips whenever they have changed."""
        self._use = use

    def share(self, others: Callable[[], Sequence[Loaded]]) -> None:
        """Have the same sound in memory once, here and in the clips that `others` returns."""
        self._others = others

    async def reload(self) -> None:
        """Load the clips that are in the folder now. Unchanged ones are kept."""
        async with self._change:
            await self._reload()

    async def upload(self, name: str, parts: AsyncIterable[bytes]) -> ClipInfo:
        """Add a sound file of that name, of any common format; it gets the next mode."""
        title = clean_title(title_of_file(name))
        check_complete(name)
        await self._in_folder(folder_ops.check_room, title)
        opus = await self._receive(name, parts)
        async with self._changing():
            file = await self._in_folder(folder_ops.place, title, opus, self._left_out.files)
        return self.find(file)

    async def replace(self, name: str, parts: AsyncIterable[bytes]) -> ClipInfo:
        """Have a clip be another sound file, of any format; it keeps its mode and name."""
        self.find(name)
        opus = await self._receive(name, parts)
        async with self._changing(name) as file:
            file = await self._in_folder(folder_ops.replace, file, opus, self._left_out.files)
        return self.find(file)

    async def remove(self, name: str) -> None:
        """Delete the file of a clip. There has to be another one."""
        async with self._changing(name) as file:
            await self._in_folder(folder_ops.remove, file, self._left_out.files)

    async def rename(self, name: str, title: str) -> ClipInfo:
        """Give a clip another title; it keeps its mode and its sound."""
        title = clean_title(title)
        async with self._changing(name) as file:
            file = await self._in_folder(folder_ops.rename, file, title, self._left_out.files)
        return self.find(file)

    async def reorder(self, names: Sequence[str]) -> None:
        """Have the modes in this order, which has every clip once. Files get new names."""
        if len(names) != len(self.entries):
            raise ClipError(self.folder, folder_ops.EACH_ONCE)
        async with self._changing():
            shown = self._shown
            files = await trio.to_thread.run_sync(lambda: [shown.file_of(name) for name in names])
            await self._in_folder(folder_ops.reorder, files, self._left_out.files)

    async def reload_and_tell(self) -> None:
        """As `reload`, for a caller that cannot be answered: the outcome is logged."""
        try:
            await self.reload()
        except ClipError as error:
            log.error("clips not reloaded", reason=str(error))
        except Exception:
            log.exception("clips not reloaded")
        else:
            log.info("clips reloaded", clips=len(self.clips))

    async def look(self) -> None:
        """Find out whether anything can be changed here."""
        if self._own is None:
            self.fixed_because = await self._in_folder(why_fixed)
        elif await trio.to_thread.run_sync(has_clips, self._own):
            self._move_in(self._own)

    def _move_in(self, own: Path) -> None:
        self.folder, self._own = own, None

    async def _receive(self, name: str, parts: AsyncIterable[bytes]) -> bytes:
        folder = await self._room()
        async with self._places.uploads:
            return await receive(
                name,
                parts,
                folder,
                max_bytes=self.max_bytes,
                decoding=self._places.decoding,
                loudness=self._cache.loudness,
            )

    @asynccontextmanager
    async def _changing(self, name: str | None = None) -> AsyncIterator[str]:
        """Give a block that changes the folder, for the clip of that name; its value is the file.

        All other files of the folder must be clips, for they will be played too.
        """
        async with self._change:
            if name is not None:
                self._shown.file_of(name)  # before a folder is made
            await self._check_free()
            file = "" if name is None else self._shown.file_of(name)
            await self._load(but=file)
            yield file
            await self._reload()

    async def _room(self) -> Path | None:
        """Return the folder where a file is kept that comes. Raises `ClipsFixed`."""
        await self._check_free()
        return self.folder

    async def _check_free(self) -> None:
        await self.look()
        if self.fixed_because is not None:
            raise ClipsFixed(self.folder, self.fixed_because)
        if (own := self._own) is not None:
            await trio.to_thread.run_sync(make_own, own)
            self._move_in(own)

    async def _reload(self) -> None:
        await self.look()
        await self._show(await self._load())

    async def _show(self, loaded: Sequence[Loaded]) -> None:
        """Have these clips in force."""
        shown = await trio.to_thread.run_sync(_Shown, loaded)
        await self._use(shown.clips)
        self._shown = shown
        self.version.value += 1

    async def refresh(self, loaded: Sequence[Loaded]) -> None:
        """Take over clips that are in force already."""
        if loaded is not self._shown.loaded:
            self._shown = await trio.to_thread.run_sync(_Shown, loaded)
            self.version.value += 1

    async def _load(self, *, but: str = "") -> list[Loaded]:
        # One process: sound that plays comes first.
        return await load_files(
            self.folder,
            cache=self._cache,
            known=[*self._shown.loaded, *self._others()],
            but=but,
            processes=1,
            left_out=self._left_out,
        )

    async def _in_folder(self, work: Callable[[Path, Unpack[Ts]], T], *args: *Ts) -> T:
        return await trio.to_thread.run_sync(work, self.folder, *args)


class _Shown:
    """Clips with their properties. Takes a while to make where there are thousands."""

    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self.loaded = loaded
        self.entries = entries_of(loaded)
        self.clips = [one.clip for one in loaded]
        self._finder = Finder([one.file for one in loaded])
        self._modes = {one.file: mode for mode, one in enumerate(loaded)}

    def find(self, name: str) -> ClipInfo:
        """As `Repository.find`."""
        return self.entries[self._modes[self.file_of(name)]]

    def file_of(self, name: str) -> str:
        """Return the file of the clip that is meant. Raises the errors of `find`."""
        return self._finder.find(name)


async def open_repository(
    folder: Path,
    cache: Path,
    progress: Progress | None = None,
    max_upload_mib: int = UPLOAD_MAX_MIB,
    cache_mib: int = CACHE_MAX_MIB,
    own: Path | None = None,
    loudness: int | None = None,
) -> Repository:
    """Return the repository of a folder, loaded, its sound at `loudness` LUFS if that is given.
    Raises `ClipError`."""
    left_out, kept = LeftOut(), Cache(cache, cache_mib << 20, loudness)
    loaded = await load_files(folder, cache=kept, progress=progress, left_out=left_out)
    max_bytes = max_upload_mib << 20
    repository = Repository(folder, kept, loaded, max_bytes=max_bytes, left_out=left_out, own=own)
    await repository.look()
    return repository


def at_once(change: Callable[[Sequence[Clip]], None]) -> Use:
    """For clips that are played by this process: they change in one step."""

    async def use(clips: Sequence[Clip]) -> None:
        change(clips)

    return use
