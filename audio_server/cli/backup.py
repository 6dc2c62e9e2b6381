"""`audio-server backup` and `restore`: all that a server keeps, as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from audio_server.cli.parameters import ClipsFolder, DataFolder
from audio_server.process.output import say
from audio_server.settings.values import ConfigFile

BackupFile = Annotated[Path, Parameter(name="FILE", help="The backup, a tar file.")]


def backup(
    file: BackupFile, /, *, at: ClipsFolder | None = None, config: ConfigFile = None
) -> None:
    """Write modes, names, tokens, clips of your own and the file of settings to a new file.

    The server may run meanwhile. The file has secrets in it, and only its owner can read it.
    """
    from audio_server.clips.folder import default_clips, has_clips
    from audio_server.state.backup import back_up

    at = at or ClipsFolder()
    clips = at.to_read()
    is_own = clips != default_clips() and has_clips(clips)
    back_up(file, at.data_folder(), clips if is_own else None, config)
    say(file)


def restore(
    file: BackupFile, /, *, at: DataFolder | None = None, config: ConfigFile = None
) -> None:
    """Put the content of a backup in the place of a data folder, whose server must have ended.

    The former folder stays beside it, under another name. Clips are in `clips` and settings in
    `settings.toml` of the folder, wherever they were before.
    """
    from audio_server.state.backup import SETTINGS_FILE, restore

    folder = (at or DataFolder()).data_folder()
    former = restore(file, folder)
    say(folder)
    if former is not None:
        say(f"before: {former}")
    if (folder / SETTINGS_FILE).exists():
        say(f"start the server with --config {folder / SETTINGS_FILE}")
