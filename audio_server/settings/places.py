"""Folders that the server uses where none is chosen."""

from __future__ import annotations

from pathlib import Path

from audio_server.clips.folder import default_clips as shipped_clips
from audio_server.clips.folder import has_clips
from audio_server.files.home import base_folder, is_nowhere


def own_clips(data: Path | None) -> Path | None:
    """Return the folder for clips of the user's own; None where nothing is kept."""
    return None if data is None or is_nowhere(data) else data / "clips"


def default_clips(data: Path | None) -> Path:
    """Return `./clips` where there is one, else the user's own clips in the data folder, else those
    that come with the server. A checkout's `./clips` are the latter."""
    here, own, shipped = Path("clips"), own_clips(data), shipped_clips()
    if here.is_dir() and here.resolve() != shipped:
        return here
    return own if own is not None and has_clips(own) else shipped


def default_cache() -> Path:
    """Where transcoded clips are kept, as the XDG base directories have it."""
    return base_folder("XDG_CACHE_HOME", ".cache") / "streaming-audio-server"


def default_data() -> Path:
    """Return the folder of durable data, as the XDG base directories have it."""
    return base_folder("XDG_STATE_HOME", ".local/state") / "streaming-audio-server"
