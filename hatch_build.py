"""The README as a package index shows it, without the files beside it in a clone; and the contract
in the wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PICTURE = re.compile(r"!\[([^]]*)\]\((?!\w+:)([^)]+)\)\n*")
LINK = re.compile(r"(?<!!)\[([^]]*)\]\((?!\w+:|#)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Hatchling calls this, by its name."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description of the package."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = for_index(text, self.config["files"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}


class CustomBuildHook(BuildHookInterface[Any]):
    """Hatchling calls this, by its name."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put comms.proto beside its messages; in an editable install it is in the clone."""
        if version == "standard":
            build_data["force_include"]["comms.proto"] = "audio_server/wire/comms.proto"


def for_index(readme: str, files: str) -> str:
    """Return a README whose pictures and links lead to `files`, a URL, or to nothing if that is
    empty: then the texts of the links remain."""
    if files:
        return re.sub(r"\]\((?!\w+:|#)", f"]({files}", readme)
    return LINK.sub(r"\1", PICTURE.sub("", readme))
