"""Actions of an operator on devices of this process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from audio_server.clips.naming import mode_called
from audio_server.device.audio_source import AudioSource
from audio_server.device.behaviour import Action, Button
from audio_server.device.device import Device
from audio_server.device.events import DeviceEvent
from audio_server.device.press_queue import Press
from audio_server.device.profile import Profile
from audio_server.device.registry import Devices
from audio_server.device.takeover import CallKind
from audio_server.fleet.announcements import OwnAnnouncement
from audio_server.fleet.interface import DONE, GONE, Outcome, Outcomes

APPLIED_S = 2.0
"""Time for a press to be applied and stored."""

BATCH = 10
"""Devices that an action reaches between two checkpoints."""

PRESSED_AT_ONCE = 10

NO_AUDIO = Outcome("failed", "it has no audio stream open")
NO_CLIP = Outcome("failed", "there is no such clip")
NO_CHANNEL = Outcome("failed", "there is no such live channel")
JUDGED = Outcome("failed", "it is being judged")
STOPPING = Outcome("failed", "the server is stopping")
TOO_MANY = Outcome("failed", "too many announcements wait there")

LIVE = "live/"
"""The beginning of the name of a live channel, where a clip of the same name is not meant: clips
are files, and have no such name."""


async def press(devices: Devices, device_id: str, button: Button) -> Outcome:
    """Press a button as the device itself would; return when the press is applied and stored."""
    device = devices.by_id.get(device_id)
    if device is None:
        return GONE
    if device.loan is not None:
        return JUDGED
    devices.tell(device_id, DeviceEvent.ACTION, "press", button)
    press = Press(button, Action.PRESS, trio.Event())
    device.press(press)
    with trio.move_on_after(APPLIED_S):
        await press.applied.wait()
        await devices.wait_durable(device_id)
    return DONE if press.applied.is_set() and devices.by_id.get(device_id) is device else GONE


async def press_each(
    press: Callable[[str, Button], Awaitable[Outcome]], device_ids: Iterable[str], button: Button
) -> Outcomes:
    """Press a button of each device with `press`, a few at a time. A cancel leaves those that
    follow as they are."""
    outcomes: dict[str, Outcome] = {}
    left = iter(device_ids)

    async def press_next() -> None:
        for device_id in left:
            outcomes[device_id] = await press(device_id, button)

    async with trio.open_nursery() as nursery:
        for _ in range(PRESSED_AT_ONCE):
            nursery.start_soon(press_next)
    return outcomes


async def play(devices: Devices, device_ids: Sequence[str] | None, clip: int | str) -> Outcomes:
    """Play a clip on some devices or on all (None), by its mode, or by its name or title in the
    clips of each device; where those have none, the live channel of that name. A name that begins
    with `LIVE` is that of a channel."""
    found: dict[Profile, int | None] = {}

    def play(device: Device) -> Outcome:
        clips = device.profile.clips
        if device.profile not in found:
            found[device.profile] = _mode_of(clip, clips)
        if (mode := found[device.profile]) is None:
            return NO_CHANNEL if str(clip).startswith(LIVE) else NO_CLIP
        if device.loan is not None:
            return JUDGED
        if CallKind.AUDIO not in device.attachments:
            return NO_AUDIO
        devices.tell(device.id, DeviceEvent.ACTION, "play", clips[mode].name)
        return DONE if device.play(mode) else STOPPING

    return await _each(devices, device_ids, play)


def _mode_of(clip: int | str, sources: Sequence[AudioSource]) -> int | None:
    """Return the mode of a clip or a live channel: it may differ between two devices."""
    if isinstance(clip, int):
        return clip if 0 <= clip < len(sources) else None
    clips = [mode for mode, source in enumerate(sources) if source.packets is not None]
    endless = [mode for mode, source in enumerate(sources) if source.packets is None]
    if clip.startswith(LIVE):
        name = clip.removeprefix(LIVE)
        return next((mode for mode in endless if sources[mode].name == name), None)
    for modes in (clips, endless):
        found = mode_called(clip, [sources[mode].name for mode in modes])
        if found is not None:
            return modes[found]
    return None


async def stop(devices: Devices, device_ids: Sequence[str] | None) -> Outcomes:
    """Stop playback on some devices, or on all (None)."""

    def stop(device: Device) -> Outcome:
        devices.tell(device.id, DeviceEvent.ACTION, "stop", None)
        device.stop()
        return DONE

    return await _each(devices, device_ids, stop)


async def announce(
    devices: Devices, device_ids: Sequence[str] | None, announcement: OwnAnnouncement
) -> Outcomes:
    """Make an announcement on some devices, or on all (None): first its sound, then the LEDs."""
    begun: list[Device] = []

    def announce(device: Device) -> Outcome:
        if devices.is_ending:
            return STOPPING
        if device.loan is not None:
            return JUDGED
        if CallKind.AUDIO not in device.attachments:
            return NO_AUDIO
        if not device.begin_announcement(announcement):
            return TOO_MANY
        begun.append(device)
        return DONE

    try:
        outcomes = await _each(devices, device_ids, announce)
        for _ in range(0, len(begun), BATCH):
            _show_next(begun)
            await trio.lowlevel.checkpoint()
        return outcomes
    finally:
        while begun:  # after a cancel: they must not be left with LEDs of another state
            _show_next(begun)


def _show_next(begun: list[Device]) -> None:
    for device in begun[:BATCH]:
        device.show_announcement()
    del begun[:BATCH]


async def _each(
    devices: Devices, device_ids: Sequence[str] | None, do: Callable[[Device], Outcome]
) -> Outcomes:
    """Run an action on each device, with checkpoints."""

    outcomes = {}
    for number, device_id in enumerate(
        list(devices.by_id if device_ids is None else device_ids), 1
    ):
        device = devices.by_id.get(device_id)
        outcomes[device_id] = GONE if device is None else do(device)
        if number % BATCH == 0:
            await trio.lowlevel.checkpoint()
    return outcomes
