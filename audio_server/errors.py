"""Faults that a user can mend before a server runs, in one line that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


class SetupError(Exception):
    """A file or folder that the server was given cannot be used.

    `str()` is the whole message: one line, the file first. Nothing of ours is broken when this
    is raised, so it is shown without a traceback.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return " ".join(f"{self.path}: {self.reason}".splitlines())


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the actual errors: nurseries wrap them in groups, and groups in groups."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error
