"""The rules of a device: the effect of a press, as pure functions of the device's state.

How it works
============

A device is in one of `Rules.modes` modes, and it is idle or it plays the clip of one mode,
which need not be the mode it is in. Ten events change it:

- a press of one of the four buttons (`pressed`),
- the end of a playback, in four ways: its sound ended (`take_ended`), it could not be played
  (`take_failed`), its audio stream was lost or stopped taking bytes (`take_lost`), or a newer
  connection took the device over (`taken_over`),
- an operator's request: to play the clip of any mode now (`told_to_play`), or to stop
  (`told_to_stop`),
- other clips, and perhaps more of them or fewer (`clips_changed`).

Each is a function of the rules and the state that returns a `Step`: the state that follows, and
the one `Effect` that the audio or the LEDs need. There is no time here, no task and no I/O. The
caller performs the effects, and reports the end of the take that `State.playing` names, never of
one that a later press has replaced.

With the defaults the table is (device contract, section 3):

    press     idle                                playing
    -------   ---------------------------------   ------------------------------------------
    CONNECT   LEDs again                          LEDs again
    MODE      next mode, wraps round              next mode; the take goes on
    STOP      mode 0                              cut; mode 0
    PLAY      the mode's clip starts              cut, and the mode's clip starts

The settings replace single cells of the right-hand column, and STOP's mode 0 in both:

    play_while_playing   restart: as above
                         ignore:  nothing
                         queue:   the mode's clip plays after the present one, in order
    mode_while_playing   keep:    as above
                         stop:    next mode; the take is cut
                         switch:  next mode; cut, and the new mode's clip starts
    stop_goes            home:    as above
                         keep:    the mode stays

Consequences in the corners of the table:

- A cut empties the queue too: nothing plays later that the user may have forgotten. So does a take
  that failed or was lost.
- There are at least five modes, and so there may be modes without a clip. Where the clip of such
  a mode should start, nothing plays, and the state is in error. (A queue that cannot take it goes
  on as it was.)
- The error is shown until the next press of any button, which first of all clears it.
- HOLD and RELEASE change nothing.
- A request of an operator leaves the mode to the user, and no setting changes it: the clip starts
  at once, and a take that plays is cut. It clears the error, as a press does. A request for the
  clip of a mode without one changes nothing.
- When the clips change, a take goes on to its end, and a mode is its number: the next playback has
  the clip of that number. A device in a mode that no longer exists is home, and queued modes
  without a clip are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Literal, NamedTuple, Protocol, TypeAlias

from audio_server.device import leds as shown

MODES_MIN = 5
QUEUE_MAX = 16


class Button(IntEnum):
    """The four buttons, numbered as `ButtonEvent.ButtonId` numbers them."""

    CONNECT = 0
    MODE = 1
    STOP = 2
    PLAY = 3


class Action(IntEnum):
    """The actions on a button, numbered as `ButtonEvent.ButtonEventType` numbers them."""

    PRESS = 0
    HOLD = 1
    RELEASE = 2


class Effect(Enum):
    """The one thing to do so that a device agrees with its state."""

    NONE = "nothing"
    SHOW = "the LEDs are sent again"
    CUT = "the take, if there is one, is cut"
    START = "the same, and the clip of State.playing starts from its beginning"
    PAUSE = "the take ends, and its place is kept"
    RESUME = "the take goes on from the place that was kept"


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings of the table, and how many clips there are; the same for all devices."""

    clips: int
    play_while_playing: Literal["restart", "ignore", "queue"] = "restart"
    mode_while_playing: Literal["keep", "stop", "switch"] = "keep"
    stop_goes: Literal["home", "keep"] = "home"

    @property
    def modes(self) -> int:
        """As many as clips, and at least five."""
        return max(MODES_MIN, self.clips)

    def fold(self, mode: int) -> int:
        """`mode` if there is such a mode, else home."""
        return mode if 0 <= mode < self.modes else 0


class State(NamedTuple):
    """The part of a device that its user controls. `State()` is that of a new device.

    `playing` is the mode whose clip plays, None when idle. `queue` holds the modes whose clips
    follow it, at most `QUEUE_MAX`, and is empty when idle. `paused`: that clip is held where it
    was heard; the stock rules never pause. `announcing`: an announcement plays over all this
    (`announcing`); only `leds` ever sees it set.
    """

    mode: int = 0
    playing: int | None = None
    queue: tuple[int, ...] = ()
    error: bool = False
    paused: bool = False
    announcing: bool = False


Step: TypeAlias = tuple[State, Effect]


def pressed(rules: Rules, state: State, button: Button, action: Action = Action.PRESS) -> Step:
    """The user did something with a button."""
    if action is not Action.PRESS:
        return state, Effect.NONE
    return _PRESSES[button](rules, state._replace(error=False) if state.error else state)


def take_ended(state: State) -> Step:
    """The sound came to its end by the playback clock."""
    if not state.queue:
        return state._replace(playing=None), Effect.NONE
    playing, *queue = state.queue
    return state._replace(playing=playing, queue=tuple(queue)), Effect.START


def take_failed(state: State) -> Step:
    """A take cannot begin: its clip does not read, or no audio stream came for it."""
    return State(state.mode, error=True), Effect.CUT


def take_lost(state: State) -> Step:
    """The audio stream is gone or stuck. Nothing resumes later, and it is no error of ours."""
    return state._replace(playing=None, queue=(), paused=False), Effect.CUT


def taken_over(state: State) -> Step:
    """Its audio call, or all it had, ended by a take-over: it is idle, in the mode it was in."""
    return State(state.mode), Effect.CUT


def told_to_play(rules: Rules, state: State, mode: int) -> Step:
    """An operator plays the clip of a mode now, over any other take; the device's mode stays."""
    if not 0 <= mode < rules.clips:
        return state, Effect.NONE
    return State(state.mode, playing=mode), Effect.START


def told_to_stop(state: State) -> Step:
    """An operator wants nothing to play; the device's mode stays."""
    return State(state.mode), Effect.CUT


def clips_changed(rules: Rules, state: State) -> Step:
    """There are other clips from now on, as `rules` say."""
    if state.mode < rules.modes and not state.queue:
        return state, Effect.NONE
    queue = tuple(mode for mode in state.queue if mode < rules.clips)
    return state._replace(mode=rules.fold(state.mode), queue=queue), Effect.NONE


def _connect(rules: Rules, state: State) -> Step:
    return state, Effect.SHOW


def _mode(rules: Rules, state: State) -> Step:
    state = state._replace(mode=(state.mode + 1) % rules.modes)
    if state.playing is None or rules.mode_while_playing == "keep":
        return state, Effect.NONE
    if rules.mode_while_playing == "stop":
        return State(state.mode), Effect.CUT
    return _start(rules, state)


def _stop(rules: Rules, state: State) -> Step:
    return State(0 if rules.stop_goes == "home" else state.mode), Effect.CUT


def _play(rules: Rules, state: State) -> Step:
    if state.playing is None or rules.play_while_playing == "restart":
        return _start(rules, state)
    if rules.play_while_playing == "ignore":
        return state, Effect.NONE
    return _enqueue(rules, state)


def _start(rules: Rules, state: State) -> Step:
    if state.mode >= rules.clips:
        return State(state.mode, error=True), Effect.CUT
    return State(state.mode, playing=state.mode), Effect.START


def _enqueue(rules: Rules, state: State) -> Step:
    if state.mode >= rules.clips:
        return state._replace(error=True), Effect.NONE
    if len(state.queue) == QUEUE_MAX:
        return state, Effect.NONE
    return state._replace(queue=(*state.queue, state.mode)), Effect.NONE


class Behaviour(Protocol):
    """The rules that a server may replace: pure functions, the same for all devices.

    They run on the event loop and must return at once. An error that one raises is logged and ends
    the device for which it was called, and no other. A guest extends `DefaultBehaviour`. A
    reconnect is idle, and an operator's play and stop are obeyed, under every behaviour.
    """

    def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
        """Return the step after a button was pressed, held or released."""

    def on_playback_ended(self, rules: Rules, state: State) -> Step:
        """Return the step after the sound came to its end by the playback clock."""

    def on_playback_failed(self, rules: Rules, state: State) -> Step:
        """Return the step after a clip could not be read, or no audio stream came for it."""

    def on_playback_lost(self, rules: Rules, state: State) -> Step:
        """Return the step after the audio stream ended or stopped taking bytes."""

    def on_clips_changed(self, rules: Rules, state: State) -> Step:
        """Return the step after the clips changed; `rules` have their new number."""

    def leds(self, state: State) -> shown.Frame:
        """Return the frame that shows `state`: LED 0 to 5, `0xRRGGBBAA` each."""


class DefaultBehaviour:
    """The table of this module, and the stock LEDs."""

    def on_button(self, rules: Rules, state: State, button: Button, action: Action) -> Step:
        """As `Behaviour`: `pressed`."""
        return pressed(rules, state, button, action)

    def on_playback_ended(self, rules: Rules, state: State) -> Step:
        """As `Behaviour`: `take_ended`."""
        return take_ended(state)

    def on_playback_failed(self, rules: Rules, state: State) -> Step:
        """As `Behaviour`: `take_failed`."""
        return take_failed(state)

    def on_playback_lost(self, rules: Rules, state: State) -> Step:
        """As `Behaviour`: `take_lost`."""
        return take_lost(state)

    def on_clips_changed(self, rules: Rules, state: State) -> Step:
        """As `Behaviour`: `clips_changed`."""
        return clips_changed(rules, state)

    def leds(self, state: State) -> shown.Frame:
        """As `Behaviour`: `leds.leds`."""
        return shown.leds(state)


_PRESSES: dict[Button, Callable[[Rules, State], Step]] = {
    Button.CONNECT: _connect,
    Button.MODE: _mode,
    Button.STOP: _stop,
    Button.PLAY: _play,
}
