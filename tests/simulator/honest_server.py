"""What a device sees of a server that keeps the contract, made up without any server.

A second, independent telling of the rules: plain arithmetic on times, so that the oracle is judged
by something that shares no code with it or with the product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audio_server.simulator.buttons import Button
from audio_server.simulator.events import (
    Connected,
    Disconnected,
    Event,
    EventAcked,
    EventSent,
    LedsSet,
    PacketReceived,
)

Trace = list[tuple[float, Event]]
DATA, QUIET = b"\xf8\x01\x02", b"\xf8\xff\xfe"
LEAD_S = 0.3
PACKET_S = 0.02
REPLY_S = 0.005
PLAY, STOP = Button.PLAY, Button.STOP
STARTUP = ((7, True), (6, True), (1, False))


def frame_of(mode: int, playing: bool) -> tuple[int, ...]:
    """A made-up LED table: one frame for each state."""
    return (0xFFFFFFFF, 0x2FF if playing else 0x1FF, (mode % 256) << 8 | 0xFF, 0, 0, 0)


@dataclass
class Session:
    """One connection: times are absolute; presses lie between `on_s` and `off_s`."""

    on_s: float
    presses: Sequence[tuple[float, Button]]
    off_s: float


class HonestServer:
    """Tells what devices would see of a server with clips of so many packets each."""

    def __init__(self, clip_packets: Sequence[int]) -> None:
        self._clips = clip_packets
        self._mode = 0

    def trace(self, sessions: Sequence[Session]) -> Trace:
        """Everything that happens on these connections, in order."""
        return [entry for session in sessions for entry in self._session(session)]

    def _session(self, session: Session) -> Trace:
        modes = self._modes(session.presses)
        plays = _plays(session.presses, modes, self._clips)
        found = [(session.on_s, Connected()), *_startup(session), *_replies(session.presses)]
        for play in plays:
            found += take(play.started_s, play.packets, play.cut_s)
        found += _lights(session, modes, plays)
        seen = sorted((entry for entry in found if entry[0] < session.off_s), key=lambda e: e[0])
        return [*seen, (session.off_s, Disconnected())]

    def _modes(self, presses: Sequence[tuple[float, Button]]) -> list[int]:
        """The mode before the first press, and after each."""
        modes = [self._mode]
        for _, button in presses:
            if button is Button.MODE:
                self._mode = (self._mode + 1) % len(self._clips)
            elif button is Button.STOP:
                self._mode = 0
            modes.append(self._mode)
        return modes


@dataclass
class Play:
    """A take as it will go: when it starts, how long its clip is, when it is cut if at all."""

    started_s: float
    packets: int
    cut_s: float

    def sounds(self, at_s: float) -> bool:
        return self.started_s <= at_s < min(self.cut_s, self.started_s + self.packets * PACKET_S)


def _plays(
    presses: Sequence[tuple[float, Button]], modes: list[int], clips: Sequence[int]
) -> list[Play]:
    heard = [at_s + REPLY_S for at_s, _ in presses]
    cutting = [at for at, (_, b) in zip(heard, presses, strict=True) if b in (PLAY, STOP)]
    return [
        Play(at_s, clips[mode], min((c for c in cutting if c > at_s), default=float("inf")))
        for at_s, (_, button), mode in zip(heard, presses, modes[1:], strict=True)
        if button is PLAY
    ]


def _startup(session: Session) -> Trace:
    until_s = session.presses[0][0] if session.presses else session.off_s
    steps = [
        (session.on_s + 0.3 * number, LedsSet(frame_of(*state)))
        for number, state in enumerate(STARTUP)
    ]
    return [step for step in steps if step[0] < until_s]


def _replies(presses: Sequence[tuple[float, Button]]) -> Trace:
    found: Trace = []
    for at_s, button in presses:
        found += [(at_s, EventSent(button)), (at_s + REPLY_S, EventAcked(True))]
    return found


def _lights(session: Session, modes: list[int], plays: list[Play]) -> Trace:
    """A frame after every change: a press, the end of a take, the end of the start-up."""
    heard = [at_s + REPLY_S for at_s, _ in session.presses]
    ends = [play.started_s + play.packets * PACKET_S for play in plays]
    startup_ends = [] if heard and heard[0] < session.on_s + 1.0 else [session.on_s + 1.0]
    found: Trace = []
    for at_s in sorted({*heard, *ends, *startup_ends}):
        mode = modes[sum(moment <= at_s for moment in heard)]
        playing = any(play.sounds(at_s) for play in plays)
        found.append((at_s + 1e-4, LedsSet(frame_of(mode, playing))))
    return found


def take(started_s: float, packets: int, cut_s: float = float("inf")) -> Trace:
    """The packets of a take, each sent when the lead allows it; nothing after a cut."""
    found: Trace = []
    for index in range(packets):
        at_s = started_s + max(0.0, index * PACKET_S - LEAD_S)
        if at_s >= cut_s:
            return [*found, (cut_s, PacketReceived(False, True, QUIET))]
        found.append((at_s, PacketReceived(index == 0, index == packets - 1, DATA)))
    return found
