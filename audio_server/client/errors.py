"""Errors of requests to a server."""

from __future__ import annotations


class ServerError(Exception):
    """A server refused, could not be reached, or is none; `str()` is the line that says which."""
