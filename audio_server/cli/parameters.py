"""Parameters that several commands share, with their lines of help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from audio_server.cli.errors import CommandError
from audio_server.clips.errors import ClipError
from audio_server.clips.folder import default_clips as shipped_clips
from audio_server.clips.folder import why_fixed
from audio_server.clips.own_folder import make_own
from audio_server.files.home import is_nowhere
from audio_server.names import BadName, checked_tag
from audio_server.settings.places import default_clips, default_data, own_clips
from audio_server.settings.settings import BY_DEFAULT, Settings
from audio_server.settings.values import Clips, Cluster, Data, File, Loudness
from audio_server.wire.device_ids import FORM, is_device_id

STDIN = "-"


def _device_id(_: Any, tokens: Sequence[Token]) -> str:
    text = tokens[0].value
    if not is_device_id(text):
        raise ValueError(f'"{text}": a device id is {FORM}')
    return text


def _tag(_: Any, tokens: Sequence[Token]) -> str:
    try:
        return checked_tag(tokens[0].value)
    except BadName as error:
        raise ValueError(str(error)) from error


Tag = Annotated[str, Parameter(converter=_tag)]


def device_id(text: str) -> str:
    """Return the id of a device among other words. Raises `CommandError` for what is none."""
    if not is_device_id(text):
        raise CommandError(f'"{text}": a device id is {FORM}')
    return text


def word(_: Any, tokens: Sequence[Token]) -> str:
    """Convert a word of which the meaning depends on others: an option that does not exist is none
    of them."""
    text = tokens[0].value
    if text.startswith("-") and text != STDIN:
        raise ValueError(f"there is no such option: {text}")
    return text


DeviceId = Annotated[str, Parameter(name="ID", converter=_device_id, help="The device.")]
AsJson = Annotated[bool, Parameter(name="--json", help="Print JSON, for programs.")]
AsJsonLines = Annotated[AsJson, Parameter(help="Print JSON, a line for each event, for programs.")]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataFolder:
    """The data folder that a server with these settings has."""

    data: Annotated[Data, Parameter(help="Data folder of the server.")] = field(
        default_factory=default_data
    )

    def data_folder(self) -> Path:
        """Return the folder. Raises `CommandError` where there is none."""
        if self.data is None or is_nowhere(self.data):
            raise CommandError("there is no data folder; name one with --data FOLDER")
        return self.data


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TokenPlace(DataFolder):
    """Where the tokens of servers with these settings are."""

    cluster: Annotated[Cluster, Parameter(help="Valkey or Redis of the servers, a URL.")] = None
    cluster_password_file: Annotated[File, Parameter(help="File with the password for it.")] = None
    cluster_ca: Annotated[File, Parameter(help="Authorities of its certificate (PEM).")] = None

    @property
    def is_shared(self) -> bool:
        """Whether they are in a cluster."""
        return self.cluster is not None

    def settings(self) -> Settings:
        """Return the settings of a node of that cluster."""
        return Settings(
            clips=Path(),
            data=None,
            cluster=self.cluster,
            cluster_password_file=self.cluster_password_file,
            cluster_ca=self.cluster_ca,
        )


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClipsFolder(DataFolder):
    """The folder of clips that a server with these settings has."""

    clips: Annotated[Clips, Parameter(help="Folder of clips.")] = BY_DEFAULT
    loudness: Annotated[
        Loudness, Parameter(help="Loudness of sound that is encoded, -31 to -12 LUFS, or off.")
    ] = None

    def to_read(self) -> Path:
        """Return the folder."""
        return default_clips(self.data) if self.clips is BY_DEFAULT else self.clips

    def to_change(self) -> Path:
        """Return the folder: the user's own in the place of the shipped one. Raises `ClipError`."""
        folder, own = self.to_read(), own_clips(self.data)
        if folder != shipped_clips():
            return folder
        if own is None:
            raise ClipError(folder, why_fixed(folder) or "cannot be changed")
        make_own(own)
        return own


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StatePlace(TokenPlace, ClipsFolder):
    """The state of a server with these settings, and the cluster that it names."""
