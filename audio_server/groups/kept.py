"""The groups that operators made through the API, in a file of the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from audio_server.errors import SetupError
from audio_server.files.folders import OpenFolder
from audio_server.files.small_file import FileMissing, read_small
from audio_server.groups.overrides import Overrides
from audio_server.groups.tables import FILE_MAX_BYTES, GROUPS, BadTable, tables_of

NAME = "groups.json"


class KeptGroups:
    """The groups in `folder`; without one they last as long as the process. All methods block."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def read(self) -> Mapping[str, Overrides]:
        """Return the groups. Raises `SetupError` for a file that is not as it was written."""
        if self._folder is None:
            return {}
        path = self._folder / NAME
        try:
            content = msgspec.json.decode(read_small(path, FILE_MAX_BYTES))
            return tables_of({GROUPS: content}).groups
        except FileMissing:
            return {}
        except (msgspec.DecodeError, UnicodeDecodeError, BadTable) as error:
            raise SetupError(path, f"{error}; remove it, or put it right") from error

    def write(self, groups: Mapping[str, Overrides]) -> None:
        """Keep these groups and no others. Raises `OSError`."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        data = msgspec.json.format(msgspec.json.encode(groups))
        with OpenFolder(self._folder) as folder:
            folder.write(NAME, data, mode=0o600)
