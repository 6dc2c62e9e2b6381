"""The trial of one device: each step asks for something and judges the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from audio_server.judge.duties import Duty
from audio_server.judge.seat import DeviceLeft, Seat
from audio_server.judge.try_calls import OPEN_S, missing_calls, try_calls
from audio_server.judge.try_ends import try_ends
from audio_server.judge.try_leds import try_leds
from audio_server.judge.try_presses import try_presses
from audio_server.judge.try_sound import try_sound
from audio_server.wire.audio import PACKET_MS

PACKETS_A_SECOND = 1000 // PACKET_MS

STEPS_S = 180.0
"""How long a trial may take, without the times of `Patience`."""

Step = Callable[[Seat], Awaitable[None]]

Tell = Callable[[str], None]
"""Tells the user, in one line, about the step that begins."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Times that the judge waits for a device, in seconds. With `press_s` 0 it asks for no
    press."""

    press_s: float = 30.0
    return_s: float = 60.0

    @property
    def all_s(self) -> float:
        """How long a trial may take."""
        return STEPS_S + self.press_s + 2 * self.return_s


async def run_trial(
    seat: Seat, sound: Sequence[bytes], tell: Tell, patience: Patience | None = None
) -> None:
    """Run all steps on a device that has just come; the findings are in its seat.

    `sound` is a take of some seconds. A device that stays away ends the trial. Raises nothing for
    a device that does wrong; a cancel leaves its calls open.
    """
    patience = patience or Patience()
    tell("its calls")
    await try_calls(seat)
    for name, step in _steps(sound, patience):
        if not await _is_complete(seat, patience.return_s):
            return
        tell(name)
        await step(seat)


async def run_trial_of_connected(
    seat: Seat, sound: Sequence[bytes], tell: Tell, patience: Patience
) -> None:
    """Run the steps on a device that is connected to a running server: its calls are judged when
    it comes back. As `run_trial`; a device that leaves ends the trial, and so does the time."""
    begun = "its calls"
    try:
        with seat.trial, trio.move_on_after(patience.all_s) as everything:
            if not await seat.wait(lambda: seat.is_complete, OPEN_S):
                await seat.check_there()
                seat.findings.broken(Duty.CALLS, missing_calls(seat))
                return
            for name, step in _steps(sound, patience):
                await seat.check_there()
                if not await _is_complete(seat, patience.return_s):
                    return
                begun = name
                tell(name)
                await step(seat)
        if everything.cancelled_caught:
            seat.gone_because = f"the trial has not ended within {patience.all_s:g} s"
    except* DeviceLeft:
        seat.gone_because = f"the device left ({begun.partition(':')[0]})"


async def _is_complete(seat: Seat, within_s: float) -> bool:
    if await seat.wait(lambda: seat.is_complete, within_s):
        return True
    seat.findings.broken(Duty.RETURN, f"did not have its calls open within {within_s:g} s")
    return False


def _steps(sound: Sequence[bytes], patience: Patience) -> Iterator[tuple[str, Step]]:
    yield "LEDs: six colours, then some of them", try_leds
    length_s = len(sound) // PACKETS_A_SECOND
    yield f"sound: {length_s} s of a soft hiss, then short takes", partial(try_sound, sound=sound)
    presses = f"buttons: press Mode, Play and Stop quickly, within {patience.press_s:g} s"
    if patience.press_s:
        yield presses, partial(try_presses, within_s=patience.press_s)
    yield "ends of calls and of the connection", partial(try_ends, return_s=patience.return_s)
