"""The judge of a server whose settings are not all known: it finds them out.

A server may be set to other rules for single presses, and a device is not told. So the judge keeps
an oracle for each combination of settings that could be, and drops those that blame the server for
more than another one does, or need more acts of operators to explain what was seen: a server keeps
the contract if some settings explain all that it did.
Combinations are told apart from the first press on that depends on them; until then there is one
oracle, and after a press or two there is one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from audio_server.simulator.buttons import Action, Button
from audio_server.simulator.events import Event, EventSent
from audio_server.simulator.oracle import Oracle
from audio_server.simulator.verdict import (
    MODE_WHILE_PLAYING,
    PLAY_WHILE_PLAYING,
    STOP_GOES,
    Note,
    ServerRules,
    Violation,
)

CHOICES: dict[str, tuple[str, ...]] = {
    "play_while_playing": PLAY_WHILE_PLAYING,
    "mode_while_playing": MODE_WHILE_PLAYING,
    "stop_goes": STOP_GOES,
}


class Judge:
    """Judges as an `Oracle` does; `told` maps settings to values that are known.

    `limits` and `options` are the oracle's.
    """

    def __init__(self, limits: Any, *, told: dict[str, Any] | None = None, **options: Any) -> None:
        told = told or {}
        self._unknown = [name for name in CHOICES if name not in told]
        self._oracles = [Oracle(limits, rules=ServerRules(**told), **options)]

    @property
    def violations(self) -> Sequence[Violation]:
        """What no settings explain."""
        return self._oracles[0].violations

    @property
    def notes(self) -> Sequence[Note]:
        """What the contract allows and a reader should know."""
        return self._oracles[0].notes

    @property
    def rules(self) -> ServerRules:
        """The settings that explain what the server did; the defaults where several do."""
        return self._oracles[0].case.rules

    def feed(self, at_s: float, event: Event) -> None:
        """Take one event; `at_s` never goes back. Has the shape of an `Observer`."""
        if isinstance(event, EventSent) and event.action is Action.PRESS:
            self._tell_apart(at_s, event.button)
        for oracle in self._oracles:
            oracle.feed(at_s, event)
        self._drop()

    def tick(self, at_s: float) -> None:
        """Notice what is due by `at_s` and has not come."""
        for oracle in self._oracles:
            oracle.tick(at_s)
        self._drop()

    def _tell_apart(self, at_s: float, button: Button) -> None:
        """Go on with an oracle for each value of the setting on which this press depends."""
        name = self._setting_of(at_s, button)
        if name in self._unknown:
            self._unknown.remove(name)
            self._oracles = [
                _with_rule(oracle, name, value)
                for value in CHOICES[name]
                for oracle in self._oracles
            ]

    def _setting_of(self, at_s: float, button: Button) -> str:
        if button is Button.STOP:
            return "stop_goes"
        if any(oracle.can_play(at_s) for oracle in self._oracles):
            return {Button.PLAY: "play_while_playing", Button.MODE: "mode_while_playing"}.get(
                button, ""
            )
        return ""

    def _drop(self) -> None:
        if len(self._oracles) > 1:
            least = min(map(_unexplained, self._oracles))
            self._oracles = [each for each in self._oracles if _unexplained(each) == least]


def _unexplained(oracle: Oracle) -> tuple[int, int]:
    return len(oracle.violations), oracle.case.acts


def _with_rule(oracle: Oracle, name: str, value: Any) -> Oracle:
    copy = deepcopy(oracle)
    copy.case.rules = oracle.case.rules._replace(**{name: value})
    return copy
