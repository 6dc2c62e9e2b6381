"""The settings of the server: from flags, environment and TOML file alike."""

from audio_server.settings.limits import LimitSettings
from audio_server.settings.settings import Settings

__all__ = ["LimitSettings", "Settings"]
