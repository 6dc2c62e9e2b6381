"""Recordings of live channels in the HTTP API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Recording(Struct):
    """A recording of a live channel."""

    name: Annotated[str, Meta(description="the name of its file")]
    channel: str
    begun: Annotated[float, Meta(description="seconds since 1970")]
    seconds: Annotated[float, Meta(ge=0, description="how long it is by now")]
    bytes: Annotated[int, Meta(ge=0)]
    running: Annotated[bool, Meta(description="whether it is being written")]


class Recordings(Struct):
    """All recordings, the newest first."""

    recordings: list[Recording]


class Deleted(Struct):
    """A recording that is no more."""

    name: str


class NewClip(Struct, forbid_unknown_fields=True):
    """The title of a clip that is made of a recording; without one, the channel and the time."""

    title: Annotated[str, Meta(min_length=1)] | None = None
