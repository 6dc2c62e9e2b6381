"""What every answer says, so far as the browser that gets it obeys it."""

from __future__ import annotations

import pytest
from asgi import ask
from starlette.responses import PlainTextResponse

from audio_server.web.security_headers import HEADERS, WHERE_TRUSTED, SecurityHeaders

APP = SecurityHeaders(PlainTextResponse("hello"))
AFAR = "door.example:8080"


@pytest.mark.parametrize(
    ("headers", "is_trusted"),
    [
        ({"host": "127.0.0.1:8080"}, True),
        ({"host": "localhost"}, True),
        ({"host": "[::1]:8080"}, True),
        ({"host": AFAR}, False),
        ({"host": AFAR, "x_forwarded_proto": "https"}, True),
        ({"host": AFAR, "forwarded": "for=10.0.0.9;proto=https"}, True),
        ({"host": "[::"}, False),
        ({"host": ""}, False),
    ],
)
async def test_browsers_are_told_only_what_they_obey(
    headers: dict[str, str], is_trusted: bool
) -> None:
    """Chromium writes an error to the console of each page for what it ignores."""
    said = (await ask(APP, "GET", "/", **headers)).headers
    assert said.items() >= HEADERS.items()
    assert (said.items() >= WHERE_TRUSTED.items()) is is_trusted


async def test_tls_is_trusted_from_everywhere() -> None:
    answer = await ask(APP, "GET", "/", scheme="https", host=AFAR)
    assert answer.headers.items() >= WHERE_TRUSTED.items()
