"""`audio-server state`: the state of one server, for a cluster of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import StatePlace
from audio_server.files.home import expanded
from audio_server.process.help_pages import HELP_FORMATTER
from audio_server.process.output import say
from audio_server.settings.places import default_cache
from audio_server.settings.values import ConfigFile, Folder

if TYPE_CHECKING:
    from audio_server.clips.cache import Cache
    from audio_server.clips.clip_reader import Loaded
    from audio_server.cluster.importing import Brought, Imported
    from audio_server.cluster.link import Session

HELP = """Bring the state of a server into a cluster."""

app = App(name="state", help=HELP, help_formatter=HELP_FORMATTER)

Replace = Annotated[
    bool, Parameter(name="--replace", help="Write over what the cluster has already.")
]


@app.command(name="import")
def import_state(
    *,
    at: StatePlace | None = None,
    cache: Folder | None = None,
    over: Replace = False,
    config: ConfigFile = None,
) -> None:
    """Write the state of a data folder, and clips, into a cluster.

    The state are names, tags, modes, tokens, groups and the devices that were seen.

    Groups are those of the API, with the clips of their folders; those of a
    settings file stay each server's own. A server may run with the folder
    meanwhile. A cluster that has names, tags, tokens, clips or groups already is
    left as it is, unless --replace says so; devices that are connected keep
    their modes.

    Parameters
    ----------
    cache: Path
        Folder where clips are kept once they are Opus.
    """
    import trio

    from audio_server.clips.cache import Cache
    from audio_server.cluster.opening import make_records_link

    at = at or StatePlace()
    if not at.is_shared:
        raise CommandError("name the cluster with --cluster URL")
    kept = Cache(cache or default_cache(), loudness=at.loudness)
    link = make_records_link(at.settings())
    brought = _read(at.data_folder())
    folders = {own.clips for own in brought.groups.values() if own.clips is not None}
    loaded = {path: trio.run(_load, expanded(path), kept) for path in sorted(folders)}
    brought = replace(brought, clips=trio.run(_load, at.to_read(), kept), folders=loaded)
    results: list[Imported] = []

    async def once(session: Session) -> None:
        results.append(await _bring(session, brought, kept, over))

    trio.run(link.run_once, once)
    say(", ".join(f"{count} {what}" for what, count in results[0]._asdict().items()))


async def _bring(session: Session, brought: Brought, kept: Cache, is_again: bool) -> Imported:
    from audio_server.cluster.importing import Occupied, bring
    from audio_server.cluster.interface import ClusterDown, Conflict

    try:
        return await bring(session, brought, kept, is_again=is_again)
    except* Occupied:
        raise CommandError(
            "the cluster has names, tags, tokens, clips or groups already; "
            "--replace writes over them"
        ) from None
    except* Conflict:
        raise CommandError("clips or groups: a node has changed them; try again") from None
    except* ClusterDown:
        raise CommandError(
            "the cluster does not answer, and may have some of it; try again with --replace"
        ) from None


async def _load(folder: Path, kept: Cache) -> Sequence[Loaded]:
    from audio_server.cli.progress import clip_progress
    from audio_server.clips.loader import load_files

    with clip_progress() as progress:
        return await load_files(folder, cache=kept, progress=progress)


def _read(data: Path) -> Brought:
    """Return the state of a data folder. Raises `SetupError` for a file that cannot be used."""
    from audio_server.cluster.importing import Brought
    from audio_server.errors import SetupError
    from audio_server.groups.kept import KeptGroups
    from audio_server.identity.tokens import TOKENS_FILE, read_tokens
    from audio_server.state.backup import copy_of_state
    from audio_server.state.file import StateFile
    from audio_server.state.modes import STATE_FILE

    if not data.is_dir():
        raise SetupError(data, "no data folder; name one with --data FOLDER")
    tokens, groups = read_tokens(data / TOKENS_FILE), KeptGroups(data).read()
    if not (data / STATE_FILE).is_file():
        return Brought(tokens=tokens, groups=groups)
    with TemporaryDirectory() as folder:
        copy = Path(folder, STATE_FILE)
        copy.write_bytes(copy_of_state(data / STATE_FILE))
        with StateFile(copy) as file:
            record = file.read()
    entries = record.entries
    return Brought(record.names, record.tags, record.modes, tokens, entries=entries, groups=groups)
