"""The README as a package index shows it: without the files that lie beside it in a clone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

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


def for_index(readme: str, files: str) -> str:
    """Return a README whose pictures and links lead to `files`, a URL, or to nothing if that is
    empty: then the texts of the links remain."""
    if files:
        return re.sub(r"\]\((?!\w+:|#)", f"]({files}", readme)
    return LINK.sub(r"\1", PICTURE.sub("", readme))
