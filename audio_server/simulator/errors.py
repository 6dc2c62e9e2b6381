"""Errors that are not the server's doing: each is one line to the user."""

from __future__ import annotations


class UsageError(Exception):
    """A request that cannot be fulfilled; `str()` is the line with the reason."""


class ScriptError(UsageError):
    """A script that cannot be run; the line names the step."""


class CannotConnect(UsageError):
    """No server answers at the address."""


class CannotRecord(UsageError):
    """A recording that would be in a format that is not offered."""
