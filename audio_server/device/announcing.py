"""The rules of announcements: sound of an operator over what plays, as pure functions.

How it works
============

An announcement is a layer over the state of a device (`behaviour.State`). Beneath it the stock
table goes on as if the clip still played; only its sound waits. So the layer (`Overlay`) is the
announcement that plays, those that wait for it, and whether the clip of `State.playing`, if there
is one, begins anew or goes on from where it was heard. Without an announcement there is no layer,
and no function of this module is called.

    event                          nothing announced       an announcement plays
    ----------------------------   ---------------------   ---------------------------------------
    announcement                   what plays is held,     of higher priority: replaces it;
                                   the announcement plays  else it waits its turn by priority
    its sound ends, or it fails    -                       the next one that waits; after the last
                                                           what was held goes on, idle stays idle
    MODE                           stock                   stock beneath; the announcement goes on
    PLAY                           stock                   stock beneath: where a clip starts, it
                                                           starts after the last announcement
    STOP                           stock                   stock, and all announcements end
    CONNECT, HOLD, RELEASE         stock                   stock; the announcement goes on
    operator plays a clip          stock                   it starts after the last announcement
    operator stops                 stock                   stock, and all announcements end
    stream lost or stuck,          stock                   stock, and all announcements end
    take-over, shutdown

Consequences in the corners of the table:

- A press that cuts the clip (MODE with `mode_while_playing = stop`) drops what was held, and the
  announcement goes on: only STOP ends it.
- A clip that a user's rules have paused stays paused after the announcement, at the same place. One
  that is resumed meanwhile goes on after it.
- An announcement that cannot be read is over; those that wait, and what was held, follow.
- Where the clips change, and the clip that would start afterwards is gone, it is left out.
- At most `WAITING_MAX` wait on a device; one more is refused.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple, Protocol

from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Action, Button, Effect, Rules, State, Step, take_ended

WAITING_MAX = 8

PRIORITY_MIN, PRIORITY_MAX = 0, 9


class Hearing(StrEnum):
    """What has become of an announcement on a device."""

    WAITING = "waiting"
    """Others are before it."""

    PLAYING = "playing"
    HEARD = "heard"
    """To the end, by the playback clock."""

    CUT = "cut"
    """A press, an operator, another announcement or a shutdown ended it."""

    LOST = "lost"
    """The device, or its audio stream, was gone."""

    STALLED = "stalled"
    """The device stopped reading its audio stream."""

    FAILED = "failed"
    """It could not be played."""

    @property
    def is_over(self) -> bool:
        """Whether it stays so."""
        return self not in (Hearing.WAITING, Hearing.PLAYING)


class Announcement(Protocol):
    """An announcement, the same object for all of its devices; compared by identity."""

    @property
    def id(self) -> str:
        """Its name in reports, unique among the announcements of a server."""

    @property
    def source(self) -> AudioSource:
        """Its sound, which has an end."""

    @property
    def priority(self) -> int:
        """Of two, the higher one goes first; `PRIORITY_MIN` to `PRIORITY_MAX`."""

    def report(self, device_id: str, hearing: Hearing, reason: str | None) -> None:
        """Take note of what has become of it on a device. Called in the midst of the change: must
        return at once, and raise nothing."""


class Overlay(NamedTuple):
    """The layer over the state of a device. `waiting` is in the order in which they will play.

    `anew`: the clip of `State.playing` starts from its beginning; else it was held, and its place
    is kept.
    """

    current: Announcement
    waiting: tuple[Announcement, ...] = ()
    anew: bool = False


class Sound(Enum):
    """The one thing to do so that the sound agrees with the layer."""

    GO_ON = "nothing"
    HOLD = "the take is cut and its place kept; the current announcement starts"
    NEXT = "the take of an announcement, if it lasts, is cut; the current one starts"
    FORGET = "the place that was kept is forgotten"
    RESUME = "what was held goes on from its place"
    START = "the clip of State.playing starts from its beginning"
    KEEP = "nothing plays; the clip of State.playing is paused at its beginning"
    SILENCE = "nothing plays; a place that a pause kept stays"


class Turn(NamedTuple):
    """The layer that follows, None for none; and the thing to do.

    `ended` is the announcement that another one replaced, `refused` says that there is no room."""

    overlay: Overlay | None
    sound: Sound = Sound.GO_ON
    ended: Announcement | None = None
    refused: bool = False


def announced(overlay: Overlay | None, new: Announcement) -> Turn:
    """An operator makes an announcement."""
    if overlay is None:
        return Turn(Overlay(new), Sound.HOLD)
    if new.priority > overlay.current.priority:
        return Turn(overlay._replace(current=new), Sound.NEXT, overlay.current)
    if len(overlay.waiting) == WAITING_MAX:
        return Turn(overlay, refused=True)
    before = [one for one in overlay.waiting if one.priority >= new.priority]
    after = overlay.waiting[len(before) :]
    return Turn(overlay._replace(waiting=(*before, new, *after)))


def announcement_over(overlay: Overlay, beneath: State) -> Turn:
    """The sound of the current announcement has ended, or cannot be played."""
    if overlay.waiting:
        current, *waiting = overlay.waiting
        return Turn(overlay._replace(current=current, waiting=tuple(waiting)), Sound.NEXT)
    if beneath.playing is None:
        return Turn(None, Sound.SILENCE)
    if overlay.anew:
        return Turn(None, Sound.KEEP if beneath.paused else Sound.START)
    return Turn(None, Sound.SILENCE if beneath.paused else Sound.RESUME)


def stepped_beneath(overlay: Overlay, step: Step) -> Turn:
    """The rules have made a step beneath an announcement, which goes on."""
    state, effect = step
    if effect is Effect.START and state.playing is not None:
        return Turn(overlay._replace(anew=True), Sound.FORGET)
    if effect is Effect.CUT or state.playing is None:
        return Turn(overlay._replace(anew=False), Sound.FORGET)
    return Turn(overlay)


def clips_changed(overlay: Overlay, rules: Rules, beneath: State) -> State:
    """There are other clips from now on; `beneath` is the state after the step of the rules."""
    if overlay.anew and beneath.playing is not None and beneath.playing >= rules.clips:
        return take_ended(beneath)[0]
    return beneath


def ends_announcements(button: Button, action: Action) -> bool:
    """Whether a press ends all announcements of the device on which it was made."""
    return button is Button.STOP and action is Action.PRESS
