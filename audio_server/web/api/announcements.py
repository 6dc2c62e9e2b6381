"""Announcements: their sound, the order, and what has become of each."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import trio
from msgspec import UNSET

from audio_server.clips.clip import Clip
from audio_server.clips.naming import clean_title, title_of, title_of_file
from audio_server.clips.sounds import with_chime
from audio_server.clips.speech import speak
from audio_server.device.announcing import Hearing
from audio_server.fleet.announcements import KEPT, Order, Reports
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Outcomes as FleetOutcomes
from audio_server.fleet.interface import missing_of
from audio_server.web.api import announce_models as shapes
from audio_server.web.api import models
from audio_server.web.api.at_once import AtOnce
from audio_server.web.api.bodies import sent_file
from audio_server.web.api.devices import chosen, summed_up
from audio_server.web.api.operation import JSON_IDS_BYTES, ApiRequest, Content, Operation, Problem
from audio_server.web.context import Context

FILE: Final = Content("application/octet-stream", "a sound file of any common format", None)

SOUNDS_MAX: Final = 16
SOUNDS_MAX_BYTES: Final = 64 * 1024 * 1024
"""Of all sounds that wait for their announcement; the oldest gives way."""

SOUND_KEPT_S: Final = 600.0

SPEAKERS_MAX: Final = 4
WAITERS_MAX: Final = 64

LOOK_S: Final = 0.25
"""How often the devices are asked while a request waits for them."""

ONE_OF: Final = "give exactly one of clip, say and sound"
NO_SOUND: Final = f"there is no such sound: it is kept for {SOUND_KEPT_S / 60:.0f} minutes"
NO_ANNOUNCEMENT: Final = f"there is no such announcement: the last {KEPT} are known"
NO_SPEECH: Final = "this server speaks no text: tts_command is off"
NO_ANSWER: Final = "its worker or node gave no answer"


class Sounds:
    """Sounds that have come and wait to be announced. Several announcements may use one."""

    def __init__(self) -> None:
        self._sounds: OrderedDict[str, tuple[Clip, float]] = OrderedDict()

    def add(self, sound: Clip) -> str:
        """Keep a sound for a while; return its id."""
        self._drop_old()
        number = secrets.token_hex(8)
        self._sounds[number] = sound, trio.current_time() + SOUND_KEPT_S
        while len(self._sounds) > 1 and self._is_too_much():
            self._sounds.popitem(last=False)
        return number

    def get(self, number: str) -> Clip:
        """Return a sound. Raises `Problem` for one that is unknown, or no longer kept."""
        self._drop_old()
        if number not in self._sounds:
            raise Problem(404, NO_SOUND)
        return self._sounds[number][0]

    def _is_too_much(self) -> bool:
        size = sum(len(sound.frames) for sound, _ in self._sounds.values())
        return len(self._sounds) > SOUNDS_MAX or size > SOUNDS_MAX_BYTES

    def _drop_old(self) -> None:
        now = trio.current_time()
        for number in [key for key, (_, until) in self._sounds.items() if until <= now]:
            del self._sounds[number]


@dataclass(slots=True)
class _Made:
    """An announcement that was made. `outcomes` are empty until all devices have been reached."""

    name: str
    seconds: float
    outcomes: FleetOutcomes = field(default_factory=dict)
    missing: Sequence[str] = ()
    is_made: bool = False


class AnnouncementOperations:
    """They work on the fleet, wherever the devices live."""

    def __init__(self, context: Context) -> None:
        self._fleet: Fleet = context.fleet
        self._repository = context.repository
        self._command = context.settings.tts_argv
        self._sounds = Sounds()
        self._made: OrderedDict[str, _Made] = OrderedDict()
        self._speaking = AtOnce(SPEAKERS_MAX, "too many texts are being spoken")
        self._waiting = AtOnce(WAITERS_MAX, "too many requests wait for announcements")

    @Operation(
        "POST",
        "/api/sounds",
        shapes.Sound,
        query=models.SoundName,
        body=FILE,
        problems={
            408: "the file stopped coming",
            413: "the file or its sound is too large",
            415: "the body is a form",
            422: "there is no sound in the file",
        },
    )
    async def add_sound(self, asked: ApiRequest) -> shapes.Sound:
        """Keep a sound for announcements of the next ten minutes; it becomes no clip."""
        name = clean_title(title_of_file(asked.query.name))
        async with sent_file(asked.request) as parts:
            sound = await self._repository.receive_sound(name, parts)
        return shapes.Sound(self._sounds.add(sound), round(sound.duration_s, 3))

    @Operation(
        "POST",
        "/api/announce",
        shapes.Announced,
        body=shapes.Announce,
        json_max_bytes=JSON_IDS_BYTES,
        problems={
            404: "no such clip or sound, or no device has the tag",
            422: "the JSON is invalid, several clips have that title, or the text is not spoken",
            503: "too many texts or large bodies are on their way, or the server cannot speak",
        },
    )
    async def announce(self, asked: ApiRequest) -> shapes.Announced:
        """Play a sound over what plays on devices, which then goes on; answers at its start."""
        wanted: shapes.Announce = asked.body
        device_ids, missing = await chosen(self._fleet, wanted.devices)
        sound = await self._sound_of(wanted)
        if wanted.chime:
            sound = await with_chime(sound)
        number = secrets.token_hex(8)
        seconds = round(sound.duration_s, 3)
        made = self._made[number] = _Made(title_of(sound.name), seconds)  # the sound may go
        while len(self._made) > KEPT:
            self._made.popitem(last=False)
        order = Order(number, sound, wanted.priority)
        try:
            outcomes = await self._fleet.announce(device_ids, order)
            made.missing = sorted({*missing_of(outcomes), *missing})
            if isinstance(wanted.devices, models.Group):  # those of it that are away are left out
                outcomes = {key: one for key, one in outcomes.items() if one.result != "gone"}
            made.outcomes = outcomes
        finally:
            made.is_made = True
        done = summed_up(made.outcomes)
        left_out = list(made.missing) or UNSET
        return shapes.Announced(number, seconds, done.done, done.gone, done.failed, left_out)

    async def _sound_of(self, wanted: shapes.Announce) -> Clip:
        given = [one for one in (wanted.clip, wanted.say, wanted.sound) if one is not None]
        if len(given) != 1:
            raise Problem(422, ONE_OF)
        if wanted.clip is not None:
            return self._repository.clips[self._repository.find(wanted.clip).mode]
        if wanted.sound is not None:
            return self._sounds.get(wanted.sound)
        return await self._spoken(wanted.say or "")

    async def _spoken(self, text: str) -> Clip:
        if not self._command:
            raise Problem(503, NO_SPEECH)
        if not any(one.isprintable() and not one.isspace() for one in text):
            raise Problem(422, "the text is empty")
        self._speaking.check()
        with self._speaking.counted():
            return await speak(
                self._command,
                text,
                decoding=self._repository.decoding,
                loudness=self._repository.cache.loudness,
            )

    @Operation(
        "GET",
        "/api/announcements/{id}",
        shapes.Announcement,
        query=shapes.Waiting,
        problems={404: "no such announcement", 503: "too many requests wait"},
    )
    async def get_announcement(self, asked: ApiRequest) -> shapes.Announcement:
        """How far an announcement is on each device; with `wait_s`, answers when it is over."""
        number = asked.named("id")
        until = trio.current_time() + asked.query.wait_s
        if asked.query.wait_s:
            self._waiting.check()
        with self._waiting.counted():
            while True:
                answer = await self._look(number)
                if answer.over or trio.current_time() >= until:
                    return answer
                await trio.sleep(min(LOOK_S, until - trio.current_time()))

    async def _look(self, number: str) -> shapes.Announcement:
        made = self._made.get(number)
        if made is None:
            raise Problem(404, NO_ANNOUNCEMENT)
        devices = _heard(made.outcomes, await self._fleet.reports(number))
        over = made.is_made and all(one.hearing not in _OPEN for one in devices.values())
        missing = list(made.missing) or UNSET
        return shapes.Announcement(number, made.name, made.seconds, over, devices, missing)


_OPEN: Final = {hearing.value for hearing in Hearing if not hearing.is_over}


def _heard(outcomes: FleetOutcomes, reports: Reports) -> dict[str, shapes.Heard]:
    """Return each device of an announcement: its last report, or why there is none."""
    heard = {}
    for device_id, outcome in outcomes.items():
        report = reports.get(device_id)
        if outcome.result == "gone":
            heard[device_id] = shapes.Heard("not_connected", None)
        elif outcome.result == "failed":
            heard[device_id] = shapes.Heard("failed", outcome.reason)
        elif report is None:
            heard[device_id] = shapes.Heard("lost", NO_ANSWER)
        else:
            heard[device_id] = shapes.Heard(report.hearing.value, report.reason)
    return heard
