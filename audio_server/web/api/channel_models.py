"""Live channels in the HTTP API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Channel(Struct):
    """A live channel."""

    name: str
    mode: Annotated[int, Meta(ge=0, description="the mode that plays it")]
    sending: Annotated[bool, Meta(description="whether sound is sent to it now")]
    inserted: Annotated[int, Meta(ge=0, description="packets of silence in the place of sound")]
    left_out: Annotated[int, Meta(ge=0, description="packets of a source that was ahead")]
    skipped: Annotated[int, Meta(ge=0, description="packets that devices missed, over all devices")]
    lost: Annotated[int, Meta(ge=0, description="packets that did not come from another process")]
    underruns: Annotated[int, Meta(ge=0, description="times at which no sound came in time")]
    node: Annotated[
        str | None, Meta(description="the node that the sound is sent to, with --cluster")
    ]


class Channels(Struct):
    """All live channels, in the order of their modes."""

    channels: list[Channel]


class Sent(Struct):
    """Sound that has ended."""

    seconds: Annotated[float, Meta(ge=0)]
