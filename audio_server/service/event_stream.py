"""The events of one call: each is acknowledged once the device has applied it, in order.

Most events need not wait for anything, so they are taken as they come, in the turn of the loop
in which they were read: a press, its acknowledgement and the first sound of a Play then leave in
one write, and no task is woken for them.
"""

from __future__ import annotations

from typing import TypeAlias

import trio

from audio_server.device.attachment import EventAttachment
from audio_server.device.behaviour import Action, Button
from audio_server.device.instrumentation import Instrumentation
from audio_server.rpc.call import ServerCall
from audio_server.rpc.framing import frame_message
from audio_server.service.press_limiter import PressLimiter
from audio_server.wire.comms_pb2 import ButtonEvent, DeviceEvent, DeviceEventResponse

AHEAD = "sent an event before the one before it was acknowledged"
UNSET = "sent an event with no field set"

_ACK = frame_message(DeviceEventResponse(ack=True).SerializeToString())
_NACK = frame_message(DeviceEventResponse(ack=False).SerializeToString())

_Press: TypeAlias = tuple[Button, Action]

_KNOWN: dict[bytes, _Press] = {
    DeviceEvent(
        button_event=ButtonEvent(
            button_id=ButtonEvent.ButtonId.Name(button),
            event=ButtonEvent.ButtonEventType.Name(action),
        )
    ).SerializeToString(): (button, action)
    for button in Button
    for action in Action
}
"""All that can be done to a button, by the bytes that protobuf makes of it: looking them up spares
decoding. Other bytes may mean the same, and are decoded."""


class EventHandler:
    """Takes the events of `call` for the device of `link`, no faster than `pace` lets it."""

    __slots__ = ("_call", "_found", "_link", "_meter", "_pace", "_read")

    def __init__(
        self, call: ServerCall, link: EventAttachment, pace: PressLimiter, meter: Instrumentation
    ) -> None:
        self._call = call
        self._link = link
        self._pace = pace
        self._meter = meter
        self._read = 0  # the number of the read that brought the last event
        self._found: tuple[str, ...] = ()

    async def run(self) -> None:
        """Take events until the device has ended its side."""
        await self._call.send_initial_metadata()
        while (event := await self._call.recv_bytes(self._take_at_once)) is not None:
            await self._take(event)

    def _take_at_once(self, event: bytes) -> bool:
        """Handle an event synchronously. Returns False, with nothing changed, if it must wait for
        earlier events, for the mode to be stored, or for send window."""
        press = self._press_in(event)
        if not self._call.has_room or not (bucket := self._pace.free(self._link.device_id)):
            return False
        if isinstance(press, tuple) and not self._link.press_nowait(*press):
            return False
        bucket.spend()
        if not press or self._read == self._call.reads:
            self._note_breach(press)
        self._read = self._call.reads
        self._call.send_nowait(_ACK if press else _NACK)
        self._meter.acknowledged(0.0)
        return True

    async def _take(self, event: bytes) -> None:
        press = self._press_in(event)
        if not press or self._read == self._call.reads:
            self._note_breach(press)
        self._read = self._call.reads
        received_at = trio.current_time()
        await self._pace.wait(self._link.device_id)
        if isinstance(press, tuple):
            await self._link.press(*press)
        await self._call.send_framed(_ACK if press else _NACK)
        self._meter.acknowledged(trio.current_time() - received_at)

    def _note_breach(self, press: _Press | bool) -> None:
        """Report a breach of the contract, once a call: a device may go on like this for weeks."""
        breach = AHEAD if press else UNSET
        if breach not in self._found:
            self._found = (*self._found, breach)
            self._link.note_breach(breach)

    def _press_in(self, event: bytes) -> _Press | bool:
        return _KNOWN.get(event) or _press_of(self._call.decode(event))


def _press_of(event: DeviceEvent) -> _Press | bool:
    """Return the button and the action. False for an event with no field set; True for an unknown
    one, which is acknowledged like all others."""
    if event.WhichOneof("event") != "button_event":
        return False
    try:
        return Button(event.button_event.button_id), Action(event.button_event.event)
    except ValueError:
        return True
