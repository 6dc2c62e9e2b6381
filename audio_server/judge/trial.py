"""The trial of one device: each step asks for something and judges the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from audio_server.judge.duties import Duty
from audio_server.judge.seat import Seat
from audio_server.judge.try_calls import try_calls
from audio_server.judge.try_ends import try_ends
from audio_server.judge.try_leds import try_leds
from audio_server.judge.try_presses import try_presses
from audio_server.judge.try_sound import try_sound
from audio_server.wire.audio import PACKET_MS

PACKETS_A_SECOND = 1000 // PACKET_MS

Step = Callable[[Seat], Awaitable[None]]

Tell = Callable[[str], None]
"""Tells the user, in one line, about the step that begins."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Times that the judge waits for a device, in seconds."""

    press_s: float = 30.0
    return_s: float = 60.0


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
        if not await seat.wait(lambda: seat.is_complete, patience.return_s):
            seat.findings.broken(
                Duty.RETURN, f"did not have its calls open within {patience.return_s:g} s"
            )
            return
        tell(name)
        await step(seat)


def _steps(sound: Sequence[bytes], patience: Patience) -> Iterator[tuple[str, Step]]:
    yield "LEDs: six colours, then some of them", try_leds
    length_s = len(sound) // PACKETS_A_SECOND
    yield f"sound: {length_s} s of a soft hiss, then short takes", partial(try_sound, sound=sound)
    presses = f"buttons: press Mode, Play and Stop quickly, within {patience.press_s:g} s"
    yield presses, partial(try_presses, within_s=patience.press_s)
    yield "ends of calls and of the connection", partial(try_ends, return_s=patience.return_s)
