"""Pages tell the number of a clip's file from its title as the server does."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import audio_server.web
from audio_server.clips.naming import title_of

SCRIPT = Path(audio_server.web.__file__).parent / "static" / "words.js"
STEMS = st.text(st.sampled_from("0179-_ abé"))


@given(STEMS)
def test_pages_and_server_agree(stem: str) -> None:
    (pattern,) = re.findall(r"clip\.replace\(/(.+)/s, \"\"\)", SCRIPT.read_text())
    assert re.sub(pattern, "", stem, count=1, flags=re.DOTALL | re.ASCII) == title_of(stem)
