"""Queries of devices, and actions on them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
import trio
from msgspec import UNSET
from starlette.responses import Response

from audio_server.clips.errors import NoSuchClip
from audio_server.device.behaviour import Button
from audio_server.fleet.actions import LIVE
from audio_server.fleet.broadcast import WATCHERS_MAX
from audio_server.fleet.fleet import Fleet
from audio_server.fleet.interface import Event, Row, missing_of
from audio_server.fleet.interface import Outcomes as FleetOutcomes
from audio_server.fleet.listing import Wanted, cursor_of
from audio_server.web.api import models
from audio_server.web.api.channels import Channels
from audio_server.web.api.events import EventStream
from audio_server.web.api.listing import matching, wanted_by, window_of
from audio_server.web.api.operation import (
    EVENTS,
    JSON_IDS_BYTES,
    ApiRequest,
    Content,
    Operation,
    Problem,
)
from audio_server.web.context import Context

BATCH: Final = 100
"""How many rows are written before others have their turn."""

MATCHES_MAX: Final = 100_000
"""Devices that an action may match."""

MODE_DIGITS: Final = 4
"""Of the number of a mode."""

Which: TypeAlias = str | Sequence[str] | models.Group


class Chosen(NamedTuple):
    """Each device once, or None for all; and the names of nodes that may have others."""

    device_ids: Sequence[str] | None
    missing: Sequence[str] = ()


UNKNOWN: Final = "no such device is connected"
ONE_GROUP: Final = "give either tag or match"
ONE_OF: Final = "give either clip or live"
NO_GROUP: Final = "no device has the tag"
NEVER_SEEN: Final = "no such device is known"
FULL: Final = "too many pages and programs follow events already"

DEVICE: Final = "/api/devices/{id}"
NOT_THERE: Final = {404: UNKNOWN}
SEE_CLIPS: Final = "`audio-server clips list` shows them"
NO_ROOM: Final = {503: FULL}
NOT_KEPT: Final = {503: "the cluster is down, and keeps no names and tags"}
NOT_REACHED: Final = {503: "a node that may have it gives no answer"}
CHANGES: Final = Content(
    EVENTS,
    "`all`: `rows` of all devices; then `changes`: `rows` that have changed, and ids that are "
    "`gone`; `now` is the server's clock. With `--cluster`: the first rows that the parameters ask "
    "for, then their changes and what is new among the first; `found`, `counts` of all devices, "
    "and nodes that are `missing`. The server ends it for a slow client; then begin again.",
)
HAPPENING: Final = Content(EVENTS, "with `follow`: `event`, each an Event")


class DeviceOperations:
    """They work on the fleet, wherever the devices live."""

    def __init__(self, context: Context) -> None:
        self._fleet: Fleet = context.fleet
        self._repository = context.repository
        self._groups = context.groups
        self._channels = Channels(context.channels)

    @Operation("GET", "/api/devices", models.Devices, query=models.Listing)
    async def list_devices(self, asked: ApiRequest) -> Response:
        """All devices that are connected, or those that the parameters ask for."""
        wanted = wanted_by(asked.query)
        page = await self._fleet.listed(wanted)
        rows = (self._named(row) for row in page.rows)
        more: dict[str, Any] = {"found": page.found, "next": cursor_of(page.last, wanted.sort)}
        if page.missing:
            more["missing"] = page.missing
        return await _answer_list("rows", rows, now=round(time.time(), 3), **more)

    def _named(self, row: Row) -> Row:
        return row if row["mode_name"] else self._with_mode_name(row)

    def _with_mode_name(self, row: Row) -> Row:
        """Return the row of a device that is away with the name of its mode, which is that of the
        present clip or channel."""
        clips = self._groups.clips_of(row["id"]) or self._repository.clips
        channel = row["mode"] - len(clips)
        if channel < 0:
            row["mode_name"] = clips[row["mode"]].name
        elif channel < len(self._channels.names):
            row["mode_name"] = self._channels.names[channel]
        return row

    @Operation("GET", "/api/devices/changes", CHANGES, query=models.Watching, problems=NO_ROOM)
    async def watch_devices(self, asked: ApiRequest) -> Response:
        """All devices, and then each change, as server-sent events."""
        if self._fleet.is_full:
            raise Problem(503, full_reason())
        return EventStream(self._fleet.watching(window_of(asked.query), asked.query.offset), bytes)

    @Operation("GET", DEVICE, models.Device, problems=NOT_THERE | NOT_REACHED)
    async def get_device(self, asked: ApiRequest) -> Row:
        """A device, also one that is away."""
        row = await self._fleet.row(asked.named("id"))
        if row is None:
            raise Problem(404, UNKNOWN)
        return self._named(row)

    @Operation("GET", f"{DEVICE}/events", models.Events, problems=NOT_THERE | NOT_REACHED)
    async def list_events_of_device(self, asked: ApiRequest) -> models.Events | Response:
        """The latest events of a device."""
        await self.get_device(asked)
        return await self._events(asked.named("id"))

    @Operation(
        "GET",
        "/api/events",
        (models.Events, HAPPENING),
        query=models.Following,
        problems=NOT_THERE | NO_ROOM,
    )
    async def list_events(self, asked: ApiRequest) -> Response:
        """The latest events of all devices, or those from now on."""
        device_id = asked.query.device
        if not asked.query.follow:
            return await self._events(device_id)
        if self._fleet.is_full:
            raise Problem(503, full_reason())
        return EventStream(self._fleet.following(device_id), worded)

    async def _events(self, device_id: str | None) -> Response:
        return await _answer_list("events", await self._fleet.events(device_id))

    # -- actions

    @Operation(
        "DELETE",
        DEVICE,
        models.Forgotten,
        problems={404: NEVER_SEEN, 409: "it is connected", **NOT_KEPT},
    )
    async def forget_device(self, asked: ApiRequest) -> models.Forgotten:
        """Forget a device that is away: its history, name, tags and mode."""
        device_id = asked.named("id")
        outcome = await self._fleet.forget(device_id)
        if outcome.result != "done":
            raise Problem(404 if outcome.result == "gone" else 409, outcome.reason or NEVER_SEEN)
        return models.Forgotten(device_id)

    @Operation(
        "PATCH",
        DEVICE,
        models.Named,
        body=models.Rename,
        problems=NOT_THERE | NOT_KEPT | {422: "the JSON is invalid, or the name is unusable"},
    )
    async def rename_device(self, asked: ApiRequest) -> models.Named:
        """Give a device another name, or none."""
        device_id, rename = asked.named("id"), asked.body
        outcome = await self._fleet.rename(device_id, rename.name)
        if outcome.result != "done":
            raise Problem(404 if outcome.result == "gone" else 409, outcome.reason or UNKNOWN)
        name = None if rename.name is None else rename.name.strip()
        return models.Named(device_id, name)

    @Operation(
        "POST",
        f"{DEVICE}/press",
        models.Device,
        body=models.Press,
        problems=NOT_THERE | NOT_REACHED | {409: "the device did not do it"},
    )
    async def press_button(self, asked: ApiRequest) -> Row:
        """Press a button, as the device itself would; answers when that has had its effect."""
        button = Button[asked.body.button.upper()]
        outcome = await self._fleet.press(asked.named("id"), button)
        if outcome.result == "failed":
            raise Problem(409, outcome.reason or "the device did not do it")
        if outcome.result == "gone":
            raise Problem(404, UNKNOWN)
        return await self.get_device(asked)

    @Operation(
        "POST",
        "/api/stop",
        models.Outcomes,
        body=models.Stop,
        json_max_bytes=JSON_IDS_BYTES,
        problems={404: NO_GROUP},
    )
    async def stop(self, asked: ApiRequest) -> models.Outcomes:
        """Stop playback on devices, and empty their queues."""
        return await self._act(asked.body.devices, self._fleet.stop)

    @Operation(
        "POST",
        "/api/play",
        models.Outcomes,
        body=models.Play,
        json_max_bytes=JSON_IDS_BYTES,
        problems={
            404: "no such clip or live channel, or no device has the tag",
            409: "no sound is sent to the live channel",
            422: "the JSON is invalid, or several clips have that title",
        },
    )
    async def play(self, asked: ApiRequest) -> models.Outcomes:
        """Play a clip or a live channel now, on some devices or all, over any other take."""
        clip = self._source(asked.body)
        return await self._act(asked.body.devices, lambda ids: self._fleet.play(ids, clip))

    def _source(self, wanted: models.Play) -> int | str:
        """Return the mode of a clip, or the name of a live channel. Raises as `Repository.find`,
        and `Problem`."""
        if (wanted.clip is None) == (wanted.live is None):
            raise Problem(422, ONE_OF)
        if wanted.live is not None:
            return LIVE + self._channels.playable(wanted.live)
        return self._clip_of(wanted.clip or "")

    def _clip_of(self, name: str) -> int | str:
        """Return a mode, or a name where it is looked for in the clips of each device: they may be
        those of groups. A live channel of that name is played where a device has no such clip."""
        by_name = bool(self._groups.clips)
        try:
            found = self._repository.find(name)
            return found.name if by_name else found.mode
        except NoSuchClip as error:
            if self._groups.has_clip(name):
                return name
            if name in self._channels.by_name:
                return self._channels.playable(name)
            mode, modes = mode_in(name), len(self._repository.clips) + len(self._channels.names)
            if mode is None or not (by_name or mode < modes):
                raise Problem(404, f"{error}, and no such mode; {SEE_CLIPS}") from error
            return mode

    @Operation(
        "POST",
        "/api/press",
        models.Outcomes,
        body=models.PressAll,
        json_max_bytes=JSON_IDS_BYTES,
        problems={404: NO_GROUP},
    )
    async def press_buttons(self, asked: ApiRequest) -> models.Outcomes:
        """Press a button of several devices; answers when that has had its effect on all."""
        button = Button[asked.body.button.upper()]
        return await self._act(asked.body.devices, lambda ids: self._fleet.press_each(ids, button))

    @Operation(
        "POST",
        "/api/tags",
        models.Outcomes,
        body=models.Tagging,
        json_max_bytes=JSON_IDS_BYTES,
        problems={404: NO_GROUP, **NOT_KEPT},
    )
    async def tag_devices(self, asked: ApiRequest) -> models.Outcomes:
        """Give devices tags, and take others away; also those of devices that are away."""
        change = asked.body
        device_ids, missing = await chosen(self._fleet, change.devices)
        if device_ids is None:
            rows = [*await self._fleet.rows(), *await self._fleet.away()]
            device_ids = list(dict.fromkeys(row["id"] for row in rows))
        outcomes = await self._fleet.tag(device_ids, change.add, change.remove)
        return summed_up(outcomes, missing=missing)

    async def _act(
        self, which: Which, do: Callable[[Sequence[str] | None], Awaitable[FleetOutcomes]]
    ) -> models.Outcomes:
        device_ids, missing = await chosen(self._fleet, which)
        return summed_up(await do(device_ids), which, missing)


def mode_in(text: str) -> int | None:
    """Return the number of a mode, in the clips of each device; None for other text."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MODE_DIGITS else None


async def chosen(fleet: Fleet, which: Which) -> Chosen:
    """Return the devices that are meant. Raises `Problem` for a tag that no device has, and for
    too many that match."""
    if not isinstance(which, models.Group):
        return Chosen(None if isinstance(which, str) else tuple(dict.fromkeys(which)))
    if (which.tag is None) == (which.match is None):
        raise Problem(422, ONE_GROUP)
    if which.match is not None:
        return await _matching(fleet, matching(which.match))
    if not (tagged := fleet.tagged(which.tag or "")):
        raise Problem(404, f"{NO_GROUP}: {which.tag}")
    return Chosen(tagged)


async def _matching(fleet: Fleet, wanted: Wanted) -> Chosen:
    found, missing = await fleet.ids(wanted._replace(limit=MATCHES_MAX + 1))
    if len(found) > MATCHES_MAX:
        raise Problem(422, f"{MATCHES_MAX:,} devices can match at most; search for fewer")
    return Chosen(found, missing)


def summed_up(
    outcomes: FleetOutcomes, which: Which = (), missing: Sequence[str] = ()
) -> models.Outcomes:
    """Sum outcomes up: a count of successes, each failure, and the nodes that are missing, also
    those that were `missing` before. Devices of a group that are away are no failures."""
    all_missing = sorted({*missing_of(outcomes), *missing}) or UNSET
    gone = [device_id for device_id, one in outcomes.items() if one.result == "gone"]
    if isinstance(which, models.Group):
        outcomes = {key: one for key, one in outcomes.items() if one.result != "gone"}
        gone = []
    failed = {
        device_id: one.reason or "it failed"
        for device_id, one in outcomes.items()
        if one.result == "failed"
    }
    return models.Outcomes(len(outcomes) - len(gone) - len(failed), gone, failed, all_missing)


async def _answer_list(name: str, items: Iterable[object], **more: Any) -> Response:
    """An object with a long list, written a few at a time."""
    encoder, body = msgspec.json.Encoder(), bytearray()
    for number, item in enumerate(items):
        body += b"," if number else b""
        body += encoder.encode(item)
        if number % BATCH == BATCH - 1:
            await trio.lowlevel.checkpoint()
    rest = b"".join(b',"%s":%s' % (key.encode(), encoder.encode(more[key])) for key in more)
    whole = b'{"%s":[%s]%s}' % (name.encode(), bytes(body), rest)
    return Response(whole, media_type="application/json")


def full_reason() -> str:
    """The refusal of one more subscriber, with the remedy."""
    return f"{FULL} ({WATCHERS_MAX} at most); close one"


def worded(event: Event) -> bytes:
    """A server-sent event."""
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: event\ndata: %s\n\n" % (event["seq"], data)
