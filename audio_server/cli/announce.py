"""`audio-server announce`: a clip, a file, a pipe or text over what plays on devices."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from audio_server.cli.actions import All, OnTag, chosen
from audio_server.cli.errors import CommandError
from audio_server.cli.parameters import STDIN, AsJson, device_id, word
from audio_server.cli.remote import Remote, ask
from audio_server.process.output import say as print_text
from audio_server.process.output import say_json
from audio_server.settings.values import whole

if TYPE_CHECKING:
    from audio_server.client.api import Api
    from audio_server.client.connection import Document

SOUNDS = "a clip, a file, - for standard input, --say TEXT, or --mic"
PART_BYTES = 1 << 16
SECONDS_MIN, SECONDS_MAX = 0.1, 600.0
WAIT_S = 20.0
"""How long one request waits for the end; then another one does."""


def _check_seconds(_: Any, value: float | None) -> None:
    if value is not None and not SECONDS_MIN <= value <= SECONDS_MAX:
        raise ValueError(f"it has to be {SECONDS_MIN:g} to {SECONDS_MAX:g}")


Words = Annotated[
    str,
    Parameter(
        name="SOUND ID",
        converter=word,
        allow_leading_hyphen=True,
        help="The sound: a file that is here, else a clip of the server; - is standard input. "
        "With --say or --mic there is none. Then the devices.",
    ),
]
Say = Annotated[
    str | None, Parameter(name="--say", help="Speak this text; the server's tts_command does it.")
]
Mic = Annotated[
    bool,
    Parameter(
        name="--mic",
        negative=(),
        help="Record this machine's microphone first, until Enter or Ctrl-C.",
    ),
]
Seconds = Annotated[
    float | None,
    Parameter(
        name="--seconds",
        validator=_check_seconds,
        help="With --mic: record for so long (0.1 to 600).",
    ),
]
Chime = Annotated[bool, Parameter(name="--chime", help="Two tones before it.")]
Priority = Annotated[
    int,
    whole(0, 9),
    Parameter(
        name="--priority",
        help="A higher one replaces the announcement that plays; others wait their turn (0 to 9).",
    ),
]
Wait = Annotated[
    bool, Parameter(name="--wait", help="Wait for the end, and fail unless all have heard it.")
]


def announce(
    *words: Words,
    remote: Remote | None = None,
    say: Say = None,
    mic: Mic = False,
    seconds: Seconds = None,
    tag: OnTag = None,
    everywhere: All = False,
    chime: Chime = False,
    priority: Priority = 0,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Play a sound over what plays on devices; that goes on where it was heard."""
    if mic and say is not None:
        raise CommandError("give either --say or --mic")
    if seconds is not None and not mic:
        raise CommandError("--seconds: it is for --mic")
    is_made = mic or say is not None
    if not is_made and not words:
        raise CommandError(f"which sound? Give {SOUNDS}")
    ids = words if is_made else words[1:]
    devices = chosen([device_id(one) for one in ids], everywhere, tag)

    async def announcing(api: Api) -> Document:
        if mic:
            given = await _spoken(api, seconds)
        else:
            given = {"say": say} if say is not None else await _sent(api, words[0])
        answer = await api.announce(devices, chime=chime, priority=priority, **given)
        return await _awaited(api, answer) if wait else answer

    _print(ask(remote, announcing), wait=wait, as_json=as_json)


async def _spoken(api: Api, seconds: float | None) -> dict[str, str]:
    """Record the microphone, and send it."""
    from audio_server.cli.microphone import recorded

    async def file() -> AsyncIterator[bytes]:
        yield sound

    sound = await recorded(seconds)
    return {"sound": await api.send_sound("microphone", file())}


async def _sent(api: Api, sound: str) -> dict[str, str]:
    """Send a file or standard input; a clip is there already."""
    import trio

    if sound == STDIN:
        pipe = cast(BufferedReader, sys.stdin.buffer)
        return {"sound": await api.send_sound("standard input", _parts(pipe.read1))}
    if not await trio.Path(sound).is_file():
        return {"clip": sound}
    async with await trio.Path(sound).open("rb") as file:
        return {"sound": await api.send_sound(Path(sound).name, _parts(file.wrapped.read))}


async def _parts(read: Callable[[int], bytes]) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, or of a pipe as they come; Ctrl-C leaves a read behind."""
    import trio

    while data := await trio.to_thread.run_sync(read, PART_BYTES, abandon_on_cancel=True):
        yield data


async def _awaited(api: Api, made: Document) -> Document:
    while not (answer := await api.announcement(made["id"], WAIT_S))["over"]:
        continue
    return answer


def _print(answer: Document, *, wait: bool, as_json: bool) -> None:
    from audio_server.client.outcome import done, failure, heard, unheard

    if as_json:
        say_json(answer)
    elif wait:
        print_text(f"heard on {heard(answer)}")
    elif answer.get("done"):
        print_text(f"announced on {done(answer)}")
    if error := unheard(answer) if wait else failure(answer):
        raise error
