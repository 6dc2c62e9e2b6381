"""One device: its state, and the tasks that keep it.

    run
    ├─ event intake   applies presses that must wait, one after the other
    ├─ status         runs the start-up sequence on the LEDs: steps of the timer wheel (`Display`)
    └─ audio          one take at a time (`Player`); begins with the first one that it must act on

The device's requests run elsewhere, on one connection or on several. They come and go through
`adopt`, `lose`, `plug` and `unplug`, which are synchronous, and they read `display` and press
buttons. Fast path: a press that need not wait is applied where it comes (`press_nowait`), in the
place of the intake task. The audio task exists from the first take on that it must act on, since
the devices of a crowd that connects play nothing yet.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import structlog
import trio

from audio_server.device import announcing
from audio_server.device import behaviour as table
from audio_server.device.announcer import Announcer
from audio_server.device.announcing import Announcement, Hearing
from audio_server.device.audio_sink import AudioSink
from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Action, Behaviour, Button, Effect, State, Step
from audio_server.device.context import Context
from audio_server.device.display import Display
from audio_server.device.events import DeviceEvent
from audio_server.device.loan import Loan
from audio_server.device.moved_modes import with_moved_modes
from audio_server.device.playback import PlaybackFailed, Position, Stalled
from audio_server.device.press_queue import Press, PressQueue, fault_of
from audio_server.device.profile import Profile
from audio_server.device.takeover import CallKind, TakeOver
from audio_server.device.telemetry import Telemetry

if TYPE_CHECKING:
    from audio_server.device.attachment import Attachment

log = structlog.get_logger()


class Device:
    """A device that is connected, or was a moment ago. `run` is its life."""

    __slots__ = (
        "_announcer",
        "_asked_on",
        "_context",
        "_player",
        "_presses",
        "_scope",
        "attachments",
        "buttons",
        "came_ns",
        "connection",
        "display",
        "firmware",
        "id",
        "last_press",
        "loan",
        "peer",
        "profile",
        "report",
        "since",
    )

    def __init__(
        self, device_id: str, connection: int, context: Context, peer: object = None
    ) -> None:
        self.profile = profile = context.profile(device_id)
        state = State(profile.rules.fold(context.store.get(device_id)))
        self.id = device_id
        self.connection = connection
        self.peer = peer
        self.since = trio.current_time()
        self.came_ns = time.monotonic_ns()
        self.attachments: dict[CallKind, Attachment] = {}
        self.buttons: dict[Button, Action] = {}
        self.last_press: tuple[Button, float] | None = None
        self.report = Telemetry()
        self.firmware: str | None = None
        self.loan: Loan | None = None
        self._presses = presses = PressQueue()
        self.display = Display(device_id, context, presses, state, profile.brightness)
        self._context = context
        self._asked_on: int | None = None  # the connection of the press that began the take
        self._player = context.make_player(device_id, profile.pace)
        self._scope = trio.CancelScope()
        self._announcer: Announcer | None = None  # while there are announcements

    @property
    def _behaviour(self) -> Behaviour:
        return self._context.behaviour

    @property
    def state(self) -> State:
        """The mode and the playback that the user controls."""
        return self.display.status.state

    @property
    def _beneath(self) -> State:
        """The state for the rules, which know of no announcement."""
        state = self.display.status.state
        return state._replace(announcing=False) if state.announcing else state

    @property
    def waiting_on(self) -> int | None:
        """The connection on which the Play came that waits for an audio call, if one does."""
        is_waiting = self.state.playing is not None and CallKind.AUDIO not in self.attachments
        return self._asked_on if is_waiting else None

    @property
    def is_playing(self) -> bool:
        """Whether sound plays, is about to, or is paused."""
        return self._player.source is not None or self.state.playing is not None

    @property
    def position(self) -> Position | None:
        """Where the take is that plays; None when nothing plays."""
        return self._player.position()

    @property
    def source(self) -> AudioSource | None:
        """The source that plays, None when none does."""
        return self._player.source

    async def run(self) -> None:
        """Keep the device until `end`. Raises the error of a task that fails."""
        if self._scope.cancel_called:
            return
        faults: list[Exception] = []
        async with trio.open_nursery() as nursery:
            self._scope = nursery.cancel_scope
            run, over = self._player.run, self._take_is_over
            self._player.open(partial(nursery.start_soon, run, over, name="audio"))
            try:
                faults.append(await fault_of(self._take_presses))
            finally:
                self._player.close()  # which would keep a cycle
            nursery.cancel_scope.cancel()
        if faults:
            raise faults.pop()

    def end(self) -> None:
        """End the tasks: no request is attached, or the device has failed."""
        self.display.watcher = None
        self.display.end_startup()
        self._presses.clear()
        self._end_announcements(Hearing.LOST, "the device was disconnected")
        self._player.unplug()
        self._player.cut()
        self._scope.cancel()

    def adopt(self, connection: int, peer: object = None) -> None:
        """The newest call of the device is on this connection."""
        self.connection = connection
        self.peer = peer

    def lose(self, ended: TakeOver) -> None:
        """A newer call has ended others. If the device has left their connection, it is on the
        other one as after a reconnect."""
        self._presses.drop_void(ended.left)
        if ended.left is not None:
            self._move(ended)

    def _move(self, ended: TakeOver) -> None:
        self.since = trio.current_time()
        self.came_ns = time.monotonic_ns()
        is_unseen = CallKind.STATUS in ended.ended
        if is_unseen:
            self.display.greet_anew()
            self.report = self.report.elsewhere()
        if ended.is_idle:
            self._end_announcements(Hearing.LOST, "the device came back on another connection")
        state = self._beneath
        step = table.taken_over(state) if ended.is_idle else (state, Effect.NONE)
        self._apply(step, greeting=not is_unseen)

    def look(self) -> None:
        """Ask the device for its LEDs, once it has shown the present frame."""
        self.display.look()

    def learn(self, report: Telemetry) -> None:
        """The device has answered, or failed to."""
        was, self.report = self.report, report
        self._context.tell_changed(self.id)
        if report.corrections != was.corrections:
            self._context.tell(self.id, DeviceEvent.CORRECTION)
        if report.errors != was.errors:
            self._context.tell(self.id, DeviceEvent.REFUSED, report.last_error)

    def _need_no_greeting(self) -> None:
        """A press shows that the device works; a status call may still be on its way."""
        if CallKind.STATUS not in self.attachments:
            self.display.need_no_greeting()

    def plug(self, sink: AudioSink) -> None:
        """The audio stream is there."""
        self._player.plug(sink)

    def unplug(self) -> None:
        """Drop the audio stream, and the take with it."""
        self._end_announcements(Hearing.LOST, "the audio stream ended")
        self._player.unplug()
        self._apply(self._behaviour.on_playback_lost(self.profile.rules, self._beneath))

    def end_take(self) -> None:
        """Cut the take, for a shutdown; it is closed at once or when there is room."""
        self._end_announcements(Hearing.CUT, "the server is stopping")
        self._apply(table.take_lost(self._beneath))

    def use(self, profile: Profile) -> None:
        """Have other clips and rules from the next press on, and another lead from the next take
        on; the take goes on."""
        before, clips = self._beneath, self.profile.clips
        self.profile = profile
        self._player.use_pace(profile.pace)
        self.display.use_brightness(profile.brightness)
        moved = with_moved_modes(before, clips, profile.clips)
        state, effect = self._behaviour.on_clips_changed(profile.rules, moved)
        if self._announcer is not None:
            self._announcer.profile = profile
            state = self._announcer.fit_clips(state)
        if state is not before:
            self._apply((state, effect))

    def recall(self, mode: int) -> None:
        """Show a mode that is stored already; the take goes on."""
        self.display.show(self.state._replace(mode=self.profile.rules.fold(mode)), greeting=True)

    async def wait_closed(self) -> None:
        """Return when the audio stream owes no `is_end`."""
        await self._player.wait_closed()

    # -- actions of an operator

    def play(self, mode: int) -> bool:
        """Start the clip of a mode now; the device's own mode stays. False in a shutdown, where no
        take starts."""
        if not self._context.ending:
            self._obey(table.told_to_play(self.profile.rules, self._beneath, mode))
        return not self._context.ending

    def stop(self) -> None:
        """Cut the take, and empty the queue; the device's mode stays."""
        self._end_announcements(Hearing.CUT, "an operator stopped it")
        self._obey(table.told_to_stop(self._beneath))

    def _obey(self, step: Step) -> None:
        self._need_no_greeting()
        self._apply(step, greeting=False)

    # -- event intake

    def press(self, press: Press) -> None:
        """Have a press applied after those before it; it says when that is done."""
        self._presses.add(press)

    def press_nowait(self, button: Button, action: Action, connection: int) -> bool:
        """Apply a press now, without waking the intake, and say whether it was.

        It is not where others wait before it, or where it selects a mode that takes time to keep.
        """
        if not self._presses.is_idle or not self._counts(button):
            return False
        try:
            return self._press(button, action, connection, at_once=True)
        except Exception as error:
            self._presses.fail(error)  # the intake raises it, and `press` waits for ever
            return False

    async def _take_presses(self) -> NoReturn:
        while True:
            press = await self._presses.next()
            if self._counts(press.button):
                self._press(press.button, press.action, press.connection)
            press.applied.set()

    def _counts(self, button: Button) -> bool:
        # This task may have been woken for a press before it was cancelled, and by now the same
        # device may be somewhere else, or another `Device`.
        is_elsewhere = self._scope.cancel_called
        # In a shutdown no take starts, but the mode that a press selects is kept: it is
        # about to be acknowledged.
        starts_late = self._context.ending and button is Button.PLAY
        return not is_elsewhere and not starts_late

    def _press(
        self, button: Button, action: Action, connection: int | None, *, at_once: bool = False
    ) -> bool:
        """Whether it has been applied: `at_once` it is not where its mode takes time to keep."""
        context, state = self._context, self._beneath
        step = context.behaviour.on_button(self.profile.rules, state, button, action)
        if at_once and context.store.is_durable and step[0].mode != state.mode:
            return False
        self.buttons[button] = action
        is_press = action is Action.PRESS
        context.tell(self.id, DeviceEvent.PRESS, button, action)
        if is_press:
            self.last_press = (button, trio.current_time())
            self._need_no_greeting()
        if step[1] is Effect.START:
            self._asked_on = connection
        if self._announcer is not None and announcing.ends_announcements(button, action):
            by = "an operator pressed Stop" if connection is None else "Stop was pressed"
            self._end_announcements(Hearing.CUT, by)
            if step[1] is not Effect.CUT:
                self._player.cut()
        self._apply(step, greeting=not is_press)
        return True

    def _apply(self, step: Step, *, greeting: bool = True) -> None:
        """Make a step of the rules true. A start-up sequence goes on unless `greeting` is false."""
        state, effect = step
        if state.mode != self.display.status.state.mode:
            self._context.store.put(self.id, state.mode)
        if self._announcer is not None:
            self._announcer.step_beneath(step)
            shown = state._replace(announcing=True)
            self.display.show(shown, again=effect is Effect.SHOW, greeting=greeting)
            return
        self.display.show(state, again=effect is Effect.SHOW, greeting=greeting)
        if effect is Effect.CUT:
            self._player.cut()
        elif effect is Effect.START and state.playing is not None:
            self._player.start(self.profile.clips[state.playing])
        elif effect is Effect.PAUSE:
            self._player.pause()
        elif effect is Effect.RESUME:
            self._player.resume()

    # -- announcements

    def announce(self, announcement: Announcement) -> bool:
        """Play an announcement over the present sound, or after others (`announcing`).

        False where it can be neither: no audio stream is open, too many wait, or the server is
        stopping. Otherwise `announcement.report` is called with each change of its `Hearing`, now
        and until that `is_over`.
        """
        is_begun = self.begin_announcement(announcement)
        self.show_announcement()
        return is_begun

    def begin_announcement(self, announcement: Announcement) -> bool:
        """As `announce`, but LEDs and listeners wait for `show_announcement` or the next change:
        where many devices begin at once, no sound waits for frames, their answers and events."""
        if self._context.ending or CallKind.AUDIO not in self.attachments:
            return False
        announcer = self._announcer or Announcer(self.id, self._context, self._player, self.profile)
        self._context.hold(self.id)
        try:
            if not announcer.announce(announcement):
                return False
            self._announcer = announcer
            self._need_no_greeting()
            return True
        finally:
            self._context.hold_no_more()

    def show_announcement(self) -> None:
        """Show that an announcement plays, if it still does, and tell the listeners of it."""
        self._context.tell_held(self.id)
        if self._announcer is not None:
            self.display.show(self.state._replace(announcing=True))

    def _announcement_is_over(self, announcer: Announcer, failure: PlaybackFailed | None) -> None:
        if isinstance(failure, Stalled):
            self._end_announcements(Hearing.STALLED, str(failure))
            self._apply(self._behaviour.on_playback_lost(self.profile.rules, self._beneath))
            return
        hearing = Hearing.HEARD if failure is None else Hearing.FAILED
        announcer.finish(hearing, None if failure is None else str(failure), self._beneath)
        if announcer.is_over:
            self._announcer = None
            self.display.show(self._beneath, greeting=True)

    def _end_announcements(self, hearing: Hearing, reason: str) -> None:
        """Forget all announcements. The caller ends their sound, and shows the state."""
        announcer, self._announcer = self._announcer, None
        if announcer is not None:
            announcer.end(hearing, reason)

    # -- audio

    def _take_is_over(self, failure: PlaybackFailed | None) -> None:
        """The player's take has come to its end by itself."""
        if failure is not None:
            reason = str(failure)
            log.warning("take failed", device=self.id, error=reason, exc_info=failure.__cause__)
            self.report = self.report.erred(reason)
        if self._announcer is not None:
            self._announcement_is_over(self._announcer, failure)
            return
        if failure is None:
            self._apply(self._behaviour.on_playback_ended(self.profile.rules, self._beneath))
            return
        lost = isinstance(failure, Stalled)
        ended = self._behaviour.on_playback_lost if lost else self._behaviour.on_playback_failed
        self._apply(ended(self.profile.rules, self._beneath))
