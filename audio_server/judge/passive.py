"""The breaches that a running server has seen of a device by itself, as breaches of duties."""

from __future__ import annotations

from collections.abc import Iterable

from audio_server.judge.duties import Duty
from audio_server.judge.findings import Findings
from audio_server.judge.seat import TOO_MANY_PINGS
from audio_server.service.event_stream import AHEAD, UNSET
from audio_server.service.status_stream import EMPTY, UNASKED_FOR

_DUTIES = {
    AHEAD: Duty.LOCK_STEP,
    UNSET: Duty.EVENT,
    UNASKED_FOR: Duty.SILENT,
    EMPTY: Duty.SET,
    "refused LEDs: ": Duty.SET,
    "refused a request for its LEDs: ": Duty.GET,
    "no answer within ": Duty.SET,
    "reported a battery level of ": Duty.BATTERY,
}
"""By the beginning of the text with which the server reports a breach."""


def feed(findings: Findings, told: Iterable[str]) -> None:
    """Note the breaches that are told, and the end of a connection with too many PINGs."""
    for text in told:
        if (duty := duty_of(text)) is not None:
            findings.broken(duty, f"before the trial: {text}")


def duty_of(text: str) -> Duty | None:
    """Return the duty that a breach is of; None for another fault."""
    if TOO_MANY_PINGS in text:
        return Duty.PINGS
    return next((duty for begin, duty in _DUTIES.items() if text.startswith(begin)), None)
