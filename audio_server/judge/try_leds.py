"""The step of LEDs: frames are set and read back, in lock-step as a server does it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import trio
from grpclib.exceptions import GRPCError

from audio_server.device.takeover import CallKind
from audio_server.judge.duties import Duty
from audio_server.judge.seat import Seat
from audio_server.wire.comms_pb2 import (
    DeviceStatus,
    DeviceStatusRequest,
    DeviceStatusResponse,
    DeviceStatusSet,
    RGBAColor,
)
from audio_server.wire.leds import LEDS, reported_battery

ANSWER_S = 5.0
EXTRA_S = 0.5
REQUESTS = 6

Colours = Mapping[int, int]
"""Colours (`0xRRGGBBAA`) of LEDs by their numbers; a set leaves the others out."""

FIRST: Colours = dict(
    enumerate((0xFF0000FF, 0x0000FFFF, 0xFFA000FF, 0x00FF00FF, 0xFF00FFFF, 0x00FFFFFF))
)
SECOND: Colours = dict(
    enumerate((0x00FF00FF, 0x00FF00FF, 0x102030FF, 0x405060FF, 0x708090FF, 0xA0B0C0FF))
)
PART: Colours = {1: 0xFF0000FF, 2: 0x0000FFFF}


async def try_leds(seat: Seat) -> None:
    """Judge how a device draws and answers for its LEDs."""
    call = seat.newest[CallKind.STATUS]
    before = call.count
    own = await get_state(seat)
    await _set(seat, FIRST)
    await _set(seat, SECOND)
    shown = await get_state(seat)
    await _set(seat, PART)
    part = await get_state(seat)
    if shown is not None:
        _judge_drawn(seat, shown, SECOND)
    if part is not None:
        _judge_drawn(seat, part, PART)
    _judge_power(seat, own, shown)
    await trio.sleep(EXTRA_S)
    if call.count - before > REQUESTS:
        seat.findings.broken(
            Duty.SET, f"answered {REQUESTS} requests with {call.count - before} messages"
        )


async def _set(seat: Seat, colours: Colours) -> None:
    seat.findings.judge(Duty.SET, await set_leds(seat, colours, ANSWER_S))


async def set_leds(seat: Seat, colours: Colours, within_s: float) -> str | None:
    """Set some LEDs; return the breach if the answer is one."""
    leds = {f"led_{index}": RGBAColor(rgba=colour) for index, colour in colours.items()}
    request = DeviceStatusRequest(set=DeviceStatusSet(**leds))
    return _refusal(await _ask(seat, request, within_s), within_s)


def _refusal(answer: DeviceStatusResponse | None, within_s: float) -> str | None:
    if answer is None:
        return f"did not answer a set within {within_s:g} s"
    if answer.WhichOneof("response") != "status":
        return f"answered a set with {answer.WhichOneof('response') or 'no field set'}"
    return None if answer.status == "success" else f'answered a set with status: "{answer.status}"'


async def get_state(seat: Seat) -> DeviceStatus | None:
    """Ask a device for its state; judge the answer, and return it if it is one."""
    answer = await _ask(seat, DeviceStatusRequest(get=True), ANSWER_S)
    if answer is None:
        seat.findings.broken(Duty.GET, f"did not answer a get within {ANSWER_S:g} s")
        return None
    if answer.WhichOneof("response") != "state":
        given = answer.WhichOneof("response") or "no field set"
        seat.findings.broken(Duty.GET, f"answered a get with {given}")
        return None
    seat.findings.kept(Duty.GET)
    try:
        if reported_battery(answer.state) is not None:
            seat.findings.kept(Duty.BATTERY)
    except ValueError as error:
        seat.findings.broken(Duty.BATTERY, str(error))
    state: DeviceStatus = answer.state
    return state


async def _ask(
    seat: Seat, request: DeviceStatusRequest, within_s: float
) -> DeviceStatusResponse | None:
    """Return the answer to a request; None if none comes in time, or the call ends. Raises
    `DeviceLeft`."""
    if (call := seat.calls.get(CallKind.STATUS)) is None:
        await seat.check_there()
        return None
    before = call.count
    with trio.move_on_after(within_s), suppress(GRPCError):  # the call may end meanwhile
        await call.ask(request)
        await seat.wait(lambda: call.count > before or call.is_over(), within_s)
    if call.count == before:
        await seat.check_there()
        return None
    answer: DeviceStatusResponse = call.latest
    return answer


def _judge_drawn(seat: Seat, state: DeviceStatus, colours: Colours) -> None:
    """Compare all LEDs that are told but LED 0, without intensity, which a device may not keep."""
    told = [index for index in range(1, LEDS) if state.HasField(f"led_{index}")]
    for index in told:
        shown, wanted = getattr(state, f"led_{index}").rgba >> 8, colours.get(index, 0) >> 8
        wrong = f"LED {index} is {shown:06X} (expected {wanted:06X})"
        seat.findings.judge(Duty.DRAWN, None if shown == wanted else wrong)


def _judge_power(seat: Seat, before: DeviceStatus | None, after: DeviceStatus | None) -> None:
    if (
        before is None
        or after is None
        or not (before.HasField("led_0") and after.HasField("led_0"))
    ):
        return
    shown, own = after.led_0.rgba >> 8, before.led_0.rgba >> 8
    wrong = f"LED 0 is {shown:06X} (it was {own:06X} before the set)"
    seat.findings.judge(Duty.POWER, None if shown == own else wrong)
