"""An order to judge a device that is connected, and how far that is; both in types of msgpack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypedDict


class Finding(TypedDict):
    """The verdict on a duty, with the breaches that were seen."""

    duty: str
    text: str
    verdict: Literal["kept", "broken", "not seen"]
    seen: list[str]


class Document(TypedDict):
    """The findings about a device. `left` says why a trial ended early, and is null otherwise."""

    device: str
    duties: list[Finding]
    left: str | None


class Order(NamedTuple):
    """An order, known by its `number`: given first it begins a trial, and given `again` it asks how
    far that is; with `ends` it ends the trial. A device that plays is judged only where its take
    may be cut."""

    number: str
    press_s: float = 30.0
    return_s: float = 60.0
    cut: bool = False
    again: bool = False
    ends: bool = False


class Progress(NamedTuple):
    """How far a trial is: its `steps` so far, then its `outcome` or the reason for which it has
    none (`refusal`)."""

    result: Literal["done", "gone", "failed"]
    """`gone`: no such device is connected."""

    refusal: str | None = None
    steps: Sequence[str] = ()
    outcome: Document | None = None
