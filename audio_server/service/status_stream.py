"""One `StatusStream`: LED frames, questions for the LEDs, and their answers.

It is in lock-step: a request is sent when those before it are answered, or after a while without an
answer. So each frame is the newest one, and a slow device has no backlog. Without a frame to send,
the device is asked for its LEDs now and then; if they differ from its last frame, that is sent
again.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import structlog
import trio

from audio_server.device.attachment import StatusAttachment
from audio_server.device.instrumentation import Instrumentation, LedFault
from audio_server.device.led_state import LedState
from audio_server.device.leds import Frame, LedFrame
from audio_server.device.loan import Lent
from audio_server.device.timer_wheel import Timer
from audio_server.rpc.call import ServerCall
from audio_server.rpc.rate_limit import Rate, TokenBucket
from audio_server.wire.comms_pb2 import DeviceStatus, DeviceStatusResponse
from audio_server.wire.leds import GET_STATE, differ, frame_leds, reported_battery, reported_leds

ANSWER_S = 5.0
"""How long a device may take to answer a request before it is sent the newest frame anyway."""

UNANSWERED_MAX = 4
"""With so many requests unanswered a device is sent nothing more: it would only fall behind."""

LOOKS_MAX = 16
"""A device that does not agree, however often it is corrected, is asked more and more rarely, down
to every so many rounds."""

UNASKED: Rate = (50, 20)
"""How many answers to nothing are taken at once, and a second."""

UNASKED_FOR = "sent a message on StatusStream that answers no request"
EMPTY = "sent an answer with no field set"
EXPECTED = ('"success"', "its state")
"""The right answer to LEDs, and to a question for them."""

_BREACHES_MAX = 16
"""Breaches of one call that are reported: their texts have values of the device in them."""

_TEXT_MAX = 200

_ROUNDING_S = 0.001
"""A tick may lie before its time by the rounding error of a float."""

_SUCCESS = DeviceStatusResponse(status="success").SerializeToString()
"""The bytes of nearly all answers: comparing them spares decoding."""

log = structlog.get_logger()


class _Asked(NamedTuple):
    """A request that has no answer yet."""

    at: float
    frame: Frame
    is_look: bool


_Told: TypeAlias = tuple[Frame | None, float | None]
"""The LEDs and the battery; None stands for an unset field."""


class StatusHandler:
    """The server's side of the call. `run` is all of it.

    Fast path of a task that would wake for each change: its task sleeps nearly always, and a frame
    is sent where the status changes, an answer comes or is late, or where there is room again, once
    other connections have had their turn. Benchmark: docs/performance.md, "Presses without wakes".
    """

    __slots__ = (
        "_apart",
        "_asked",
        "_call",
        "_is_late",
        "_is_queued",
        "_lacks_room",
        "_link",
        "_logged",
        "_look_at",
        "_meter",
        "_patience",
        "_shown",
        "_unasked",
    )

    def __init__(self, call: ServerCall, link: StatusAttachment, meter: Instrumentation) -> None:
        self._call = call
        self._link = link
        self._meter = meter
        self._asked: list[_Asked] = []
        self._shown: LedFrame | None = None  # the last frame, None when it must be sent again
        self._look_at = 0  # the number of the next look that we ask at
        self._apart = 0  # successive readbacks that found other LEDs than expected
        self._logged: tuple[str, ...] = ()
        self._is_late = False  # the last request is answered, and so the next frame may be sent
        self._is_queued = False
        self._lacks_room = False
        self._patience: Timer | None = None
        self._unasked: TokenBucket | None = None

    async def run(self) -> None:
        """Send frames and questions that are due, until the device ends its side."""
        await self._call.send_initial_metadata()
        self._link.watch(self._advance_soon)
        self._advance_soon()
        try:
            while (answer := await self._call.recv_bytes(self._take_at_once)) is not None:
                if self._asked:
                    self._take(answer)
                else:
                    await self._slow_down(answer)
        except Lent as lent:
            lent.owed = len(self._asked)
            raise
        finally:
            self._forget()

    def _forget(self) -> None:
        """Let go of all that leads back here."""
        self._asked.clear()
        self._call.when_room(None)
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _lose_patience(self) -> None:
        self._patience = None
        self._call.when_quiet(self._judge_lateness)

    def _judge_lateness(self) -> None:
        """Find out whether the last request's answer is late, and go on without it if it is."""
        ends_at = self._patience_ends_at()
        if trio.current_time() < ends_at - _ROUNDING_S:
            self._be_patient(ends_at)
            return
        self._is_late = True
        self._meter.led_fault(LedFault.LATE)
        self._link.report(self._link.known.erred(f"no answer within {ANSWER_S:g} s"))
        self._advance()

    def _be_patient(self, ends_at: float) -> None:
        """Ask for a look at `ends_at`; one that is due sooner asks for the next one itself."""
        if self._patience is None and ends_at < math.inf:
            self._patience = self._link.call_at(ends_at, self._lose_patience)

    def _patience_ends_at(self) -> float:
        """Return the deadline of the last request's answer; infinity when the call is given up."""
        if not self._asked or len(self._asked) == UNANSWERED_MAX:
            return math.inf
        return self._asked[-1].at + ANSWER_S

    # Sending

    def _advance_soon(self) -> None:
        if not self._is_queued:
            self._is_queued = True
            self._call.when_quiet(self._advance)

    def _advance(self) -> None:
        """Send the frame or question that is due, if one may be sent now."""
        self._is_queued = False
        is_free = not self._asked or (self._is_late and len(self._asked) < UNANSWERED_MAX)
        if not is_free or self._lacks_room or self._call.scope.cancel_called:
            return
        status = self._link.status
        if self._is_due(status):
            if self._call.has_room:
                self._ask(status)
            else:
                self._lacks_room = True
                self._call.when_room(self._has_room)

    def _has_room(self) -> None:
        self._lacks_room = False
        self._advance()

    def _is_due(self, status: LedState) -> bool:
        return status.frame != self._shown or self._is_look_due(status)

    def _is_look_due(self, status: LedState) -> bool:
        """A look never takes the last place of a request: that is a frame's."""
        has_place = len(self._asked) < UNANSWERED_MAX - 1
        return status.greeting is None and status.looks >= self._look_at and has_place

    def _ask(self, status: LedState) -> None:
        """Send the newest frame; if the device has it, ask for its LEDs."""
        frame = status.frame
        is_look = frame == self._shown
        self._shown = frame
        if is_look:
            self._look_at = status.looks + 1
        self._call.send_alone(GET_STATE if is_look else frame_leds(frame.leds))
        self._asked.append(_Asked(trio.current_time(), frame.leds, is_look))
        self._is_late = False
        self._be_patient(self._patience_ends_at())

    # Answers

    def _take_at_once(self, answer: bytes) -> bool:
        """Take an answer to the last request; any other message wakes the task."""
        if self._asked:
            self._take(answer)
            return True
        return False

    def _take(self, answer: bytes) -> None:
        self._hear(self._asked.pop(0), answer)
        if self._is_due(self._link.status):
            self._advance_soon()

    async def _slow_down(self, answer: bytes) -> None:
        """Take a message that was not asked for: such are read no faster than presses."""
        self._call.decode(answer)  # or it raises
        self._breach_once(UNASKED_FOR)
        now = trio.current_time()
        self._unasked = self._unasked or TokenBucket(UNASKED, now)
        await trio.sleep(self._unasked.book(now))

    def _hear(self, asked: _Asked, answer: bytes) -> None:
        after_s = trio.current_time() - asked.at
        if answer == _SUCCESS:
            leds, battery = _accepted(asked), None
        else:
            leds, battery = self._read(asked, self._call.decode(answer))
        self._link.report(self._link.known.answered(after_s, leds, battery))

    def _read(self, asked: _Asked, answer: DeviceStatusResponse) -> _Told:
        match answer.WhichOneof("response"):
            case "state":
                self._compare(asked, answer.state)
                return _told(asked, answer.state), self._battery_in(answer.state)
            case "status" if answer.status != "success":
                self._refused(asked, answer.status[:_TEXT_MAX])
            case "status":
                return _accepted(asked), None
            case _:
                self._breach_once(EMPTY)
        return None, None

    def _battery_in(self, state: DeviceStatus) -> float | None:
        try:
            return reported_battery(state)
        except ValueError as error:
            self._breach_once(str(error))
            return None

    def _compare(self, asked: _Asked, state: DeviceStatus) -> None:
        """Compare the LEDs of the device with its last frame; on a difference send that again."""
        if not asked.is_look:
            return
        if not differ(state, asked.frame):
            self._apart = 0
            return
        self._shown = None
        self._put_off_looks()
        self._meter.led_corrected()
        self._link.report(self._link.known.corrected())
        self._log_once("device shows other LEDs than it was sent, and is sent them again")

    def _refused(self, asked: _Asked, error: str) -> None:
        self._meter.led_fault(LedFault.REFUSED)
        request = "a request for its LEDs" if asked.is_look else "LEDs"
        self._link.note_breach(f'refused {request}: "{error}" (expected {EXPECTED[asked.is_look]})')
        if asked.is_look:
            self._put_off_looks()
        self._log_once("device refused a frame", error=error)

    def _breach_once(self, breach: str) -> None:
        """Report a breach of the contract, once a call."""
        if breach not in self._logged and len(self._logged) < _BREACHES_MAX:
            self._logged = (*self._logged, breach)
            self._link.note_breach(breach)

    def _put_off_looks(self) -> None:
        """Ask again after one round, after two, after four, and so on."""
        self._look_at += min(2**self._apart, LOOKS_MAX) - 1
        self._apart += 1

    def _log_once(self, event: str, **details: object) -> None:
        """Once a call: a device may go on like this for weeks."""
        if event not in self._logged:
            self._logged = (*self._logged, event)
            log.warning(event, device=self._link.device_id, **details)


def _accepted(asked: _Asked) -> Frame | None:
    """The LEDs that a device confirms with "success"; as the answer to a look it says nothing."""
    return None if asked.is_look else asked.frame


def _told(asked: _Asked, state: DeviceStatus) -> Frame | None:
    """The LEDs that a device tells. Thousands of devices keep them, so no copy is made."""
    told = reported_leds(state)
    if told is not None and all(
        one >> 8 == other >> 8 for one, other in zip(told, asked.frame, strict=True)
    ):
        return asked.frame
    return told
