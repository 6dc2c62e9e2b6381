"""Whether a device must, may or must not show "playing" or the error, as far as it can know.

The server's clock is not the device's: near each change both values are right for a while. So
this is a line of time on which each stretch holds the values that are allowed in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import PACKET_S, PacketReceived
from audio_server.simulator.verdict import Case
from audio_server.wire.audio import SILENCE


class Look(Enum):
    """What LED 1 shows."""

    IDLE = "idle"
    PLAYING = "playing"
    ERROR = "in error"


Looks: TypeAlias = frozenset[Look]


class Effect(Enum):
    """What a press does to the sound, as far as a device can know."""

    NONE = "nothing"
    CUT = "what plays is cut"
    START = "a take starts, and what plays is cut"
    MAYBE = "a take starts now, or when the sound of now ends, or none does"
    QUEUE = "a take starts when what plays has ended"


QUEUE_MAX = 16

_IDLE = frozenset({Look.IDLE})
_PLAYING = frozenset({Look.PLAYING})
_EITHER = _IDLE | _PLAYING
_ERROR = frozenset({Look.ERROR})


@dataclass(slots=True)
class _Take:
    """The server's clock for it began somewhere from `asked_s` to `started_s`."""

    asked_s: float
    started_s: float
    sound_s: float = 0.0


class PlayingLine:
    """Follows the presses and packets of one device."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._stretches: list[tuple[float, Looks]] = [(float("-inf"), _IDLE)]
        self._stopped = False
        self._queued = 0
        self._asked_s: float | None = None
        self._take: _Take | None = None
        self._paused = self._stalled = False

    def allowed(self, at_s: float, slack_s: float) -> Looks:
        """The values that were right at some time in the last `slack_s` seconds."""
        found: set[Look] = set()
        until_s = float("inf")
        for since_s, values in reversed(self._stretches):
            if since_s <= at_s and until_s >= at_s - slack_s:
                found |= values
            until_s = since_s
        return frozenset(found)

    def changed_s(self, at_s: float) -> float:
        """When the stretch began that `at_s` lies in."""
        return max(since_s for since_s, _ in self._stretches if since_s <= at_s)

    def reset(self, at_s: float) -> None:
        """A connection begins or ends: a device that comes back is idle."""
        self._take = None
        self._asked_s = None
        self._queued = 0
        self._stopped = self._paused = self._stalled = False
        self._set(at_s, _IDLE)

    def audio_lost(self, at_s: float) -> None:
        """A take without its stream ends; the server may see that a little later."""
        self._take, self._queued = None, 0
        self._set(at_s, _EITHER)
        self._set(at_s + self._case.limits.tolerance_s, _IDLE)

    def paused(self, at_s: float) -> None:
        """The device does not read: how the take goes on is the server's to know."""
        self._paused = True
        if self._take is not None or Look.PLAYING in self._stretches[-1][1]:
            self._stalled = True
            self._set(at_s, self._stretches[-1][1] | _EITHER)

    def resumed(self) -> None:
        self._paused = False

    def effect(self, at_s: float, button: Button) -> Effect:
        """What a press of now does, by the rules of the server."""
        may_play = self.can_play(at_s)
        must_play = Look.IDLE not in self.allowed(at_s, 0.0) and self._take is not None
        match button:
            case Button.STOP:
                return Effect.CUT
            case Button.PLAY:
                return self._effect_of_play(may_play, must_play)
            case Button.MODE if may_play and self._case.rules.mode_while_playing == "stop":
                return Effect.CUT
            case Button.MODE if may_play and self._case.rules.mode_while_playing == "switch":
                return Effect.START if must_play else Effect.MAYBE
            case _:
                return Effect.NONE

    def _effect_of_play(self, may_play: bool, must_play: bool) -> Effect:
        rule = self._case.rules.play_while_playing
        if rule == "restart" or not may_play:
            return Effect.START
        if not must_play:
            return Effect.MAYBE
        return Effect.QUEUE if rule == "queue" else Effect.NONE

    def erred(self, at_s: float) -> None:
        """The error is shown, until the next press."""
        self._asked_s = None
        self._set(at_s, _ERROR)

    def calmed(self, at_s: float) -> None:
        """The error is shown no more, though nothing was pressed here."""
        if self.is_error:
            self._set(at_s, _EITHER if self._take else _IDLE)

    @property
    def is_error(self) -> bool:
        """Whether the error must be shown."""
        return self._stretches[-1][1] == _ERROR

    def can_play(self, at_s: float) -> bool:
        """Whether the server may take the device for one that plays."""
        return Look.PLAYING in self.allowed(at_s, 0.0) or self._take is not None

    def pressed(self, at_s: float, effect: Effect) -> None:
        """A button was pressed, with this effect. Any press ends an error."""
        if self.is_error:
            self._set(at_s, _ERROR | (_EITHER if self._take else _IDLE))
        match effect:
            case Effect.START | Effect.MAYBE:
                self._ask(at_s, effect)
            case Effect.QUEUE:
                self._queued = min(self._queued + 1, QUEUE_MAX)
                self._set(at_s, _PLAYING | _ERROR)
            case Effect.CUT:
                self._asked_s, self._stopped, self._queued = None, True, 0
                if self._stretches[-1][1] != _IDLE or self._stretches[-1][0] > at_s:
                    self._set(at_s, _EITHER)

    def _ask(self, at_s: float, effect: Effect) -> None:
        if self._asked_s is None or at_s > self._asked_s + self._case.limits.soon_s:
            self._asked_s = at_s  # that of a press before it would have started by now
        if effect is Effect.START:
            self._queued = 0
        self._stopped = False
        self._stalled = self._stalled or self._paused
        self._set(at_s, _EITHER | _ERROR)

    def acked(self, at_s: float, effect: Effect) -> None:
        """After the ack of Stop a light may go out with the sound, or before it."""
        if effect is Effect.CUT and self._stopped:
            self._set(at_s + self._case.limits.lead_s, _IDLE)
        elif effect is Effect.NONE and self._stretches[-1][1] == _ERROR | _IDLE:
            self._set(at_s, _IDLE)

    def unasked(self) -> None:
        """The take that starts now is an operator's."""
        self._stopped = False

    def shown(self, at_s: float, look: Look) -> None:
        """Allow a look that was not due, as an operator may have led to it.

        A packet has to confirm it soon. None follows a Stop that comes after the last packet: the
        light may be out for the rest of that sound.
        """
        if look in self.allowed(at_s, 0.0):
            return
        due = next(values for since_s, values in reversed(self._stretches) if since_s <= at_s)
        foreseen = [stretch for stretch in self._stretches if stretch[0] > at_s]
        self._set(at_s, due | {look})
        if self._paused:
            self._stalled = True
        elif self._take is None and foreseen:
            self._stretches += [(since_s, values | {look}) for since_s, values in foreseen]
        else:
            self._set(at_s + self._case.limits.soon_s, due)

    def received(self, at_s: float, packet: PacketReceived) -> None:
        if packet.is_start:
            asked_s = at_s if self._asked_s is None else self._asked_s
            self._take, self._asked_s = _Take(asked_s, at_s), None
            if not self._stopped and not self._goes_on_in_error:
                self._set(at_s, _EITHER if self._stalled else _PLAYING)
        if self._take is None:
            return
        self._take.sound_s += PACKET_S
        if packet.is_end:
            self._end(at_s, self._take, cut=packet.data == SILENCE)

    def _end(self, at_s: float, take: _Take, *, cut: bool) -> None:
        """The light goes out with the sound, unless another take is asked for or may be there.

        When the server itself cuts a take (it shuts down, say) it may go out at once.
        """
        self._take = None
        if cut:
            self._queued = 0
        if self._stopped or self._goes_on_in_error:
            return
        if self._queued:
            self._queued -= 1
            self._asked_s = max(at_s, take.started_s + take.sound_s)
        if self._asked_s is not None or self._paused:
            self._set(at_s, self._stretches[-1][1] | _EITHER)
            return
        margin_s = self._case.limits.tolerance_s
        sudden = cut or self._stalled
        ending = _EITHER | _ERROR if cut else _EITHER  # what cannot be read ends like this
        self._set(at_s if sudden else max(at_s, take.asked_s + take.sound_s - margin_s), ending)
        late_s = self._case.limits.lead_s if sudden else 0.0
        self._set(max(at_s, take.started_s + take.sound_s) + margin_s + late_s, _IDLE)
        self._stalled = False

    @property
    def _goes_on_in_error(self) -> bool:
        """A queue that could not take a clip shows the error, and plays on as it was."""
        return self.is_error and self._case.rules.play_while_playing == "queue"

    def _set(self, at_s: float, values: Looks) -> None:
        """Set the values from `at_s` on, and drop those that were foreseen."""
        kept = [stretch for stretch in self._stretches if stretch[0] <= at_s]
        self._stretches = [*kept[-16:], (at_s, values)]
