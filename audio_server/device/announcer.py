"""The announcements of one device, from the first until none is left: their turns made true."""

from __future__ import annotations

from audio_server.device import announcing
from audio_server.device.announcing import Announcement, Hearing, Overlay, Sound, Turn
from audio_server.device.behaviour import State, Step
from audio_server.device.context import Context
from audio_server.device.events import DeviceEvent
from audio_server.device.player import Player
from audio_server.device.profile import Profile

REPLACED = "another announcement replaced it"


class Announcer:
    """Keeps the layer of a device, moves its player, and reports; `device_id` is for the reports,
    and `profile` is the device's.

    A device has one only while something is announced. It does not refer to the device, which
    refers to it: that would be a cycle (`gc_policy`).
    """

    __slots__ = ("_context", "_device_id", "_overlay", "_player", "profile")

    def __init__(self, device_id: str, context: Context, player: Player, profile: Profile) -> None:
        self.profile = profile
        self._device_id = device_id
        self._context = context
        self._player = player
        self._overlay: Overlay | None = None

    @property
    def is_over(self) -> bool:
        """Whether no announcement is left."""
        return self._overlay is None

    def announce(self, new: Announcement) -> bool:
        """Play an announcement, or have it wait; False where too many wait already."""
        turn = announcing.announced(self._overlay, new)
        if turn.refused:
            return False
        if turn.ended is not None:
            self._report(turn.ended, Hearing.CUT, REPLACED)
        if turn.sound is Sound.GO_ON:
            self._report(new, Hearing.WAITING)
        self._turn(turn)
        return True

    def finish(self, hearing: Hearing, reason: str | None, beneath: State) -> None:
        """The take of the current announcement is over: go on with the next one, or with the state
        beneath."""
        assert self._overlay is not None
        self._report(self._overlay.current, hearing, reason)
        turn = announcing.announcement_over(self._overlay, beneath)
        if turn.sound in (Sound.START, Sound.KEEP) and beneath.playing is not None:
            source = self.profile.clips[beneath.playing]
            (self._player.start if turn.sound is Sound.START else self._player.keep)(source)
        self._turn(turn)

    def step_beneath(self, step: Step) -> None:
        """The rules have made a step; its sound waits."""
        assert self._overlay is not None
        self._turn(announcing.stepped_beneath(self._overlay, step))

    def fit_clips(self, beneath: State) -> State:
        """Return the state beneath that fits the new clips."""
        assert self._overlay is not None
        return announcing.clips_changed(self._overlay, self.profile.rules, beneath)

    def end(self, hearing: Hearing, reason: str) -> None:
        """End all announcements. The caller ends the take."""
        overlay, self._overlay = self._overlay, None
        if overlay is not None:
            for announcement in (overlay.current, *overlay.waiting):
                self._report(announcement, hearing, reason)

    def _turn(self, turn: Turn) -> None:
        self._overlay = overlay = turn.overlay
        if turn.sound is Sound.FORGET:
            self._player.forget()
        elif turn.sound is Sound.RESUME:
            self._player.resume()
        elif overlay is not None and turn.sound in (Sound.HOLD, Sound.NEXT):
            if turn.sound is Sound.HOLD:
                self._player.pause()
            self._report(overlay.current, Hearing.PLAYING)
            self._player.announce(overlay.current.source)

    def _report(self, one: Announcement, hearing: Hearing, reason: str | None = None) -> None:
        one.report(self._device_id, hearing, reason)
        details = one.id, one.source.name, hearing, reason
        self._context.tell(self._device_id, DeviceEvent.ANNOUNCEMENT, *details)
