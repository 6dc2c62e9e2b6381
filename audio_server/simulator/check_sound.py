"""The part of the oracle that judges sound: grammar, packets, pace, and takes with their causes.

A take is caused by a press and ends by itself or by another one (`playing.Effect`). How late its
packets may be is judged against a player that started at the first packet; how early, and how long
a cut is heard, against one that started with the press: what holds up a first packet on its way
makes neither a rush of those behind it nor a late Stop. While the device does not read nothing can
be late, and what is read at once afterwards is no rush: the server sent it on time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audio_server.simulator.events import PACKET_S, PacketReceived
from audio_server.simulator.playing import QUEUE_MAX, Effect
from audio_server.simulator.toc import packet_fault
from audio_server.simulator.verdict import Case, Rule
from audio_server.wire.audio import SILENCE

RESUMES_S = 0.5
"""A take that starts unasked so soon after a reconnect or a Stop resumes what was ended."""


@dataclass(slots=True)
class _Take:
    """The take that is open. Times are None or those of the oracle's clock.

    The server began it at `asked_s` or later, and its first packet was there at `started_s`.
    """

    asked_s: float
    started_s: float
    packets: int = 0
    stalled: bool = False
    cut_s: float | None = None
    reported: frozenset[Rule] = frozenset()

    def early_s(self, at_s: float) -> float:
        """How much sound a player that started with the press would have left, at the least."""
        return self.packets * PACKET_S - (at_s - self.asked_s)

    def late_s(self, at_s: float) -> float:
        """For how long a player that started with the first packet has had no sound left."""
        return at_s - self.started_s - self.packets * PACKET_S


class SoundCheck:
    """Follows one `ServerAudioStream` after the other.

    `is_in_error` says whether the error is shown, which explains that no take starts. `unasked` is
    told of a take that nothing pressed here has caused, and whether it resumes what
    a lost connection or a Stop had ended, which no operator is likely to have asked for.
    """

    def __init__(
        self,
        case: Case,
        unasked: Callable[[float, bool], None],
        is_in_error: Callable[[float], bool],
    ) -> None:
        self._case = case
        self._unasked = unasked
        self._is_in_error = is_in_error
        self._queued = 0
        self._interrupted = False
        self._opened_s = float("-inf")
        self._take: _Take | None = None
        self._asked: list[float] = []
        self._awaited = False
        self._stopped_s: float | None = None
        self._open = False
        self._paused_s: float | None = None
        self._resumed_s = float("-inf")
        self._backlog_s = float("inf")

    # What happens to the stream

    def opened(self, at_s: float) -> None:
        """The stream is there (again); nothing was asked of it yet, or it was asked early."""
        self._open = True
        self._opened_s = at_s
        self._paused_s = None
        self._resumed_s, self._backlog_s = at_s, float("inf")

    def closed(self, at_s: float, *, wanted: bool) -> None:
        """The stream is gone. Not `wanted`: the server ended it, so no take may be open."""
        if self._take is not None and not wanted:
            self._case.report(
                at_s, Rule.GRAMMAR, "the audio stream ended inside a take, without is_end"
            )
        self._interrupted = self._take is not None or bool(self._asked) or self._queued > 0
        self._open = self._awaited = False
        self._queued = 0
        self._take = None

    def forget(self) -> None:
        """The connection is gone: what was pressed on it no longer asks for anything."""
        self._asked.clear()
        self._awaited, self._stopped_s = False, None

    @property
    def is_reading(self) -> bool:
        """Whether the stream is there, and read."""
        return self._open and self._paused_s is None

    def excuse(self, at_s: float) -> None:
        """Another press is about to end what is shown: is it why no take has started yet?"""
        if self._awaited and self._is_in_error(at_s):
            self._awaited = False

    def erred(self, at_s: float, *, goes_on: bool) -> None:
        """The error is shown instead of a take; what plays is cut, unless it `goes_on`."""
        self._awaited = False
        if self._take is not None and self._take.cut_s is None and not goes_on:
            self._take.cut_s = at_s

    def paused(self, at_s: float) -> None:
        self._paused_s = at_s
        if self._take is not None:
            self._take.stalled = True

    def resumed(self, at_s: float) -> None:
        if self._paused_s is not None:
            self._backlog_s, self._resumed_s, self._paused_s = self._paused_s, at_s, None

    # What is pressed

    def pressed(self, at_s: float, effect: Effect) -> None:
        match effect:
            case Effect.START:
                self._asked.append(at_s)
                self._awaited, self._stopped_s, self._queued = self._open, None, 0
            case Effect.MAYBE:
                self._asked.append(at_s + self._case.limits.lead_s)
                self._stopped_s = None
            case Effect.QUEUE:
                self._queued = min(self._queued + 1, QUEUE_MAX)
            case Effect.CUT:
                self._awaited, self._stopped_s, self._queued = False, at_s, 0
        is_cut = effect in (Effect.START, Effect.CUT)
        if is_cut and self._take is not None and self._take.cut_s is None:
            self._take.cut_s = at_s

    # What is heard

    def received(self, at_s: float, packet: PacketReceived) -> None:
        if fault := packet_fault(packet.data):
            self._case.report(at_s, Rule.PACKET, f"an audio packet {fault}")
        if packet.is_start:
            self._start(at_s)
        if self._take is None:
            what = "is_end" if packet.is_end else "a packet"
            self._case.report(at_s, Rule.GRAMMAR, f"{what} came outside a take")
            return
        self._count(at_s, self._take)
        if packet.is_end:
            self._end(at_s, self._take, is_cut=packet.data == SILENCE)

    def _start(self, at_s: float) -> None:
        if self._take is not None:
            self._case.report(at_s, Rule.GRAMMAR, "is_start came inside a take")
        if not self._asked:
            self._unasked(at_s, self._resumes(at_s))
            self._stopped_s = None
        asked_s = self._asked.pop(0) if self._asked else at_s
        self._awaited = False
        backlog = at_s < self._resumed_s + self._case.limits.tolerance_s
        started_s = min(at_s, self._backlog_s) if backlog else at_s
        stalled = self._paused_s is not None or started_s < at_s
        asked_s = min(asked_s, started_s)
        self._take = _Take(asked_s, started_s, stalled=stalled, cut_s=self._stopped_s)

    def _resumes(self, at_s: float) -> bool:
        after_s = self._opened_s if self._interrupted else float("-inf")
        if self._stopped_s is not None:
            after_s = max(after_s, self._stopped_s)
        return at_s <= after_s + RESUMES_S

    def _count(self, at_s: float, take: _Take) -> None:
        self._check_late(at_s, take)
        take.packets += 1
        limits = self._case.limits
        excess_s = take.early_s(at_s) - limits.lead_s - PACKET_S
        if excess_s > limits.tolerance_s:
            text = f"sound was {excess_s * 1000:.0f} ms further ahead than the lead and a packet"
            self._report_once(at_s, take, Rule.PACE, text)

    def _check_late(self, at_s: float, take: _Take) -> None:
        if take.stalled or self._paused_s is not None:
            return
        late_s = take.late_s(at_s)
        if late_s > self._case.limits.tolerance_s:
            text = f"sound ran dry: packet {take.packets} was {late_s * 1000:.0f} ms late"
            self._report_once(at_s, take, Rule.LATE, text)

    def _end(self, at_s: float, take: _Take, *, is_cut: bool) -> None:
        self._take = None
        if is_cut:
            self._queued = 0
            is_ours = take.cut_s is not None or bool(self._asked)  # a take to come cuts, too
            self._case.acts += not is_ours and not take.stalled
        if self._queued:
            self._queued -= 1
            self._asked.append(max(at_s, take.started_s + take.packets * PACKET_S))
            self._awaited = self._open
        if take.cut_s is not None and not take.stalled and take.cut_s >= self._resumed_s:
            self._check_felt(max(at_s, take.asked_s + take.packets * PACKET_S), take)

    # What is due

    def tick(self, at_s: float) -> None:
        if self._paused_s is not None or not self._open:
            return
        if self._take is not None:
            self._check_late(at_s, self._take)
            self._check_felt(at_s, self._take)
        if self._asked and at_s > max(self._asked[-1], self._resumed_s) + self._case.limits.soon_s:
            self._expire(at_s)

    def _check_felt(self, heard_s: float, take: _Take) -> None:
        """What was cut must be silent: at most the lead, the packet in hand and the cut itself."""
        if take.cut_s is None:
            return
        felt_s = heard_s - max(take.cut_s, self._resumed_s)
        if felt_s > self._case.limits.lead_s + 2 * PACKET_S + self._case.limits.tolerance_s:
            text = f"a take was cut, but heard for {felt_s * 1000:.0f} ms more"
            self._report_once(heard_s, take, Rule.STOP, text)

    def _expire(self, at_s: float) -> None:
        if self._awaited and not self._is_in_error(at_s):
            self._case.report(at_s, Rule.SILENT, "Play was pressed, but no take started")
        self._asked.clear()
        self._awaited = False

    def _report_once(self, at_s: float, take: _Take, rule: Rule, text: str) -> None:
        if rule not in take.reported:
            take.reported |= {rule}
            self._case.report(at_s, rule, text)
