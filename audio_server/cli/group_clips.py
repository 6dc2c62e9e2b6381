"""`audio-server clips ... --group NAME`: the clips of a group of a running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import Tag
from audio_server.cli.remote import Remote, ask
from audio_server.process.output import say
from audio_server.process.printable import printable

if TYPE_CHECKING:
    from audio_server.client.api import Api
    from audio_server.client.connection import Document

PART_BYTES = 64 * 1024

Group = Annotated[
    Tag | None,
    Parameter(
        name="--group",
        help="The clips of this group of a running server, in the place of those of a folder.",
    ),
]


def listed(remote: Remote | None, group: str) -> list[Document]:
    """Return the clips of a group."""
    clips: list[Document] = ask(remote, lambda api: api.clips(group))["clips"]
    return clips


def add(remote: Remote | None, group: str, file: Path, name: str | None) -> None:
    """Send a sound file, which becomes the last clip."""

    async def adding(api: Api) -> Document:
        async with _opened(file) as parts:
            title = f"{name}{file.suffix}" if name else file.name
            return await api.add_clip(group, title, parts)

    _tell(group, ask(remote, adding)["clips"][-1])


def replace(remote: Remote | None, group: str, name: str, file: Path) -> None:
    """Send another sound file for a clip."""

    async def replacing(api: Api) -> Document:
        mode = int(_find((await api.clips(group))["clips"], name)["mode"])
        async with _opened(file) as parts:
            clips: list[Document] = (await api.replace_clip(group, name, parts))["clips"]
        return clips[min(mode, len(clips) - 1)]

    _tell(group, ask(remote, replacing))


def rename(remote: Remote | None, group: str, name: str, title: str) -> None:
    """Give a clip another title."""

    async def renaming(api: Api) -> Document:
        mode = int(_find((await api.clips(group))["clips"], name)["mode"])
        clips: list[Document] = (await api.rename_clip(group, name, title))["clips"]
        return clips[min(mode, len(clips) - 1)]

    _tell(group, ask(remote, renaming))


def remove(remote: Remote | None, group: str, name: str) -> None:
    """Remove a clip."""
    ask(remote, lambda api: api.remove_clip(group, name))
    say(printable(f"{group}: {name} is removed"))


def move(remote: Remote | None, group: str, name: str, mode: int) -> None:
    """Give a clip another mode."""

    async def moving(api: Api) -> Document:
        clips: list[Document] = (await api.clips(group))["clips"]
        names = [clip["name"] for clip in clips]
        if mode >= len(names):
            raise CommandError(
                f"there are {len(names)} clips, so the last mode is {len(names) - 1}"
            )
        moved = _find(clips, name)["name"]
        names.remove(moved)
        names.insert(mode, moved)
        ordered: list[Document] = (await api.order_clips(group, names))["clips"]
        return ordered[mode]

    _tell(group, ask(remote, moving))


def _find(clips: list[Document], name: str) -> Document:
    """Return the clip that is meant. Raises `NoSuchClip`, and `ClipError` for several."""
    from audio_server.clips.naming import find

    file = find([clip["file"] for clip in clips], name)
    return next(clip for clip in clips if clip["file"] == file)


@asynccontextmanager
async def _opened(file: Path) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give the parts of a file for the block."""
    import trio

    async with await trio.open_file(file, "rb") as opened:
        yield _parts(opened.wrapped.read)


async def _parts(read: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    import trio

    while data := await trio.to_thread.run_sync(read, PART_BYTES):
        yield data


def _tell(group: str, clip: Document) -> None:
    say(printable(f"{group}: {clip['title']} is the clip of mode {clip['mode']}"))
