"""The limits on a peer, as settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, get_type_hints

from cyclopts import Parameter

from audio_server.rpc.limits import Limits, check_together
from audio_server.rpc.rate_limit import Rate
from audio_server.settings.values import rate, seconds, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings(Limits):
    """The bounds of connections, and those of each device."""

    presses: Annotated[Rate, rate()] = (50, 20)
    """Presses of one device, over all of its connections: more than a thumb does, and room for
    presses made off line. Past it acknowledgements wait, and nothing is lost."""


def _annotate_limits() -> None:
    """Give the fields of `Limits` their parameters, here since `rpc` knows no command line."""
    for name, hint in get_type_hints(Limits, include_extras=True).items():
        if hint == Rate:
            parameter, kind = rate(), hint
        else:
            least, most = hint.__metadata__[0]
            kind = hint.__origin__
            parameter = whole(least, most) if kind is int else seconds(least, most)
        for owner in (LimitSettings, LimitSettings.__init__):
            owner.__annotations__[name] = Annotated[kind, parameter]


_annotate_limits()

# Not on the help page, which they would double: `audio-server limits` shows them.
LimitTable = Annotated[
    LimitSettings, Parameter(show=False, validator=lambda _, limits: check_together(limits))
]
