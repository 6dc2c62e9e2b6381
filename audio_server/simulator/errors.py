"""What can go wrong that is not the server's doing: each is one line to the user."""

from __future__ import annotations


class UsageError(Exception):
    """What was asked for cannot be done; `str()` is the line that says why."""


class ScriptError(UsageError):
    """A script that cannot be run; the line names the step."""


class CannotConnect(UsageError):
    """Nobody answered where the server should be."""


class CannotRecord(UsageError):
    """A recording that would be in a format that is not offered."""
