"""Whatever a peer says, the server serves or ends its connection, and nobody else notices.

`FUZZ_EXAMPLES=20000 pytest tests/fuzz` looks for longer than the suite does.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzz_frames import HELLO, frame, speeches
from fuzz_target import endure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.frames import PRESSES, Button, opening

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
SEEDS = sorted((Path(__file__).parent / "seeds").iterdir())


@given(speeches(), st.sampled_from([0.0, 0.0, 0.01, 3.0]), st.booleans())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_peer_says(pieces: list[bytes], pause_s: float, stays: bool) -> None:
    endure(pieces, pause_s=pause_s, stays=stays)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_what_was_found_before(seed: Path) -> None:
    said = seed.read_bytes()
    endure([said])
    endure([said[:9], said[9:]], pause_s=0.5, stays=True)


@pytest.mark.parametrize("stays", [True, False])
def test_a_good_device_is_endured_too(stays: bool) -> None:
    endure([opening("fuzz", "fuzz"), PRESSES[Button.PLAY], frame(6, 0, 0, bytes(8))], stays=stays)


def test_a_device_that_notices_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target itself: a press of the other device that is not applied."""
    monkeypatch.setattr("audio_server.device.device.Device._press", lambda *_, **__: True)
    with pytest.raises(ExceptionGroup, match="nursery"):
        endure([HELLO])
