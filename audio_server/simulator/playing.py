"""Whether a device must, may or must not show "playing", as far as the device can know.

The server's clock is not the device's: near each change both values are right for a while. So
this is a line of time on which each stretch holds the values that are allowed in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import PACKET_S, PacketReceived
from audio_server.simulator.verdict import Limits
from audio_server.wire.audio import SILENCE

_IDLE = frozenset({False})
_PLAYING = frozenset({True})
_EITHER = frozenset({False, True})


@dataclass(slots=True)
class _Take:
    """The server's clock for it began somewhere from `asked_s` to `started_s`."""

    asked_s: float
    started_s: float
    sound_s: float = 0.0


class PlayingLine:
    """Follows the presses and packets of one device."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._stretches: list[tuple[float, frozenset[bool]]] = [(float("-inf"), _IDLE)]
        self._stopped = False
        self._asked_s: float | None = None
        self._take: _Take | None = None
        self._paused = self._stalled = False

    def allowed(self, at_s: float, slack_s: float) -> frozenset[bool]:
        """The values that were right at some time in the last `slack_s` seconds."""
        found: set[bool] = set()
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
        self._stopped = self._paused = self._stalled = False
        self._set(at_s, _IDLE)

    def audio_lost(self, at_s: float) -> None:
        """A take without its stream ends; the server may see that a little later."""
        self._take = None
        self._set(at_s, _EITHER)
        self._set(at_s + self._limits.tolerance_s, _IDLE)

    def paused(self, at_s: float) -> None:
        """The device does not read: how the take goes on is the server's to know."""
        self._paused = True
        if self._take is not None or self._stretches[-1][1] == _EITHER:
            self._stalled = True
            self._set(at_s, _EITHER)

    def resumed(self) -> None:
        self._paused = False

    def pressed(self, at_s: float, button: Button) -> None:
        if button is Button.PLAY:
            if self._asked_s is None or at_s > self._asked_s + self._limits.soon_s:
                self._asked_s = at_s  # that of a press before it would have started by now
            self._stopped = False
            self._stalled = self._stalled or self._paused
            self._set(at_s, _EITHER)
        elif button is Button.STOP:
            self._asked_s, self._stopped = None, True
            if self._stretches[-1][1] != _IDLE or self._stretches[-1][0] > at_s:
                self._set(at_s, _EITHER)

    def acked(self, at_s: float, button: Button) -> None:
        """After the ack of Stop a light may go out with the sound, or before it."""
        if button is Button.STOP and self._stopped:
            self._set(at_s + self._limits.lead_s, _IDLE)

    def received(self, at_s: float, packet: PacketReceived) -> None:
        if packet.is_start:
            asked_s = at_s if self._asked_s is None else self._asked_s
            self._take, self._asked_s = _Take(asked_s, at_s), None
            if not self._stopped:
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
        if self._stopped:
            return
        if self._asked_s is not None or self._paused:
            self._set(at_s, _EITHER)
            return
        margin_s = self._limits.tolerance_s
        sudden = cut or self._stalled
        self._set(at_s if sudden else max(at_s, take.asked_s + take.sound_s - margin_s), _EITHER)
        late_s = self._limits.lead_s if sudden else 0.0
        self._set(max(at_s, take.started_s + take.sound_s) + margin_s + late_s, _IDLE)
        self._stalled = False

    def _set(self, at_s: float, values: frozenset[bool]) -> None:
        """Set the values from `at_s` on, and drop those that were foreseen."""
        kept = [stretch for stretch in self._stretches if stretch[0] < at_s]
        self._stretches = [*kept[-16:], (at_s, values)]
