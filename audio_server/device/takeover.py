"""The calls of a device that end when it opens another one: the rule, as a pure function.

A device has at most one open call of each kind. Its calls may share one connection, as those of
a stock device do, or come on one connection each, as they do behind a proxy that opens an
upstream connection for each call. So a take-over is by call (device contract, "Reconnect"):

    the device's open call     comes on        calls that end
    of the new call's kind
    ------------------------   -------------   ----------------------------------------------
    none                       any connection  none
    on the same connection     its connection  that call
    on another connection      any other       that call, and all others on *its* connection

The age of a connection decides nothing: the newest call wins. Everything that the device left on
the connection of the call that ended is void, presses that wait to be applied included.

After a take-over by another connection a device is idle if all its calls ended, or the one that
carried its sound. Where no audio call is open, a Play waits for one for a moment; it came on a
connection, and is void with it.

    calls that ended on the connection    afterwards
    -----------------------------------   ---------------------------------------
    all calls of the device               idle
    the audio call and perhaps others     idle
    others, where a Play came that waits  idle
    others                                the take goes on, or the Play waits on
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple


class CallKind(Enum):
    """The three calls of a device, by the names under which operators see them."""

    STATUS = "status"
    EVENTS = "events"
    AUDIO = "audio"


class TakeOver(NamedTuple):
    """The effect of a new call on the calls before it.

    `left` is the connection that the device has left, None where it opened a call again on the
    same one. `is_idle`: the take that plays or waits ends too.
    """

    ended: tuple[CallKind, ...] = ()
    left: int | None = None
    is_idle: bool = False


NO_TAKE_OVER = TakeOver()


def take_over(
    open_calls: Mapping[CallKind, int],
    kind: CallKind,
    connection: int,
    waiting_on: int | None = None,
) -> TakeOver:
    """Return the effect of a call of `kind` on `connection` on `open_calls`, which maps each kind
    that is open to its connection. A Play that waits for an audio call came on `waiting_on`."""
    left = open_calls.get(kind)
    if left is None:
        return NO_TAKE_OVER
    if left == connection:
        return TakeOver((kind,), None, kind is CallKind.AUDIO)
    ended = tuple(other for other, at in open_calls.items() if at == left)
    is_all = len(ended) == len(open_calls)
    return TakeOver(ended, left, is_all or CallKind.AUDIO in ended or waiting_on == left)
