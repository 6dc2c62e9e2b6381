"""Judging devices that are connected, told as it goes on."""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Final

import msgspec
import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from audio_server.fleet.fleet import Fleet
from audio_server.judge.order import Order, Progress
from audio_server.web.api import models
from audio_server.web.api.devices import DEVICE, NOT_THERE, UNKNOWN
from audio_server.web.api.events import KEEP_ALIVE_S, cancel_when_gone
from audio_server.web.api.operation import EVENTS, ApiRequest, Content, Operation, Problem
from audio_server.web.context import Context

POLL_S: Final = 0.5

END_S: Final = 2.0
"""How long the end of a trial is waited for; it ends without a word, too, a few seconds later."""

JUDGEMENT: Final = Content(
    EVENTS,
    "`step`: `text`, the step that begins, which may ask for presses of buttons; then `findings`: "
    "`duties`, each with `duty`, `text`, `verdict` (`kept`, `broken`, `not seen`) and what was "
    "`seen`, and `left`, why the rest was not seen, or null; or `failed`: `reason`. The trial ends "
    "with the connection.",
)


class JudgeOperations:
    """They work on the fleet, wherever the devices live."""

    def __init__(self, context: Context) -> None:
        self._fleet: Fleet = context.fleet

    @Operation(
        "POST",
        f"{DEVICE}/judge",
        JUDGEMENT,
        body=models.Judge,
        problems=NOT_THERE | {409: "it plays, it is being judged, or too many others are"},
    )
    async def judge_device(self, asked: ApiRequest) -> Response:
        """Judge a device by the protocol; it is as before afterwards, without its take."""
        device_id, wanted = asked.named("id"), asked.body
        order = Order(token_hex(8), wanted.press_s, wanted.return_s, wanted.cut)
        begun = await self._fleet.judge(device_id, order)
        if begun.result == "gone":
            raise Problem(404, UNKNOWN)
        if begun.refusal is not None:
            raise Problem(409, begun.refusal)
        return Judgement(self._fleet, device_id, order._replace(again=True))


class Judgement(Response):
    """Send the steps of a trial that has begun, and its findings; the trial ends with it."""

    def __init__(self, fleet: Fleet, device_id: str, order: Order) -> None:
        super().__init__(media_type=EVENTS)
        del self.headers["content-length"]
        self._fleet = fleet
        self._device_id = device_id
        self._order = order
        self._is_over = False
        self._told = 0
        self._silent_s = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        try:
            await send(start)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_when_gone, receive, nursery.cancel_scope)
                while not self._is_over:
                    if text := self._worded(await self._ask(self._order)):
                        await send({"type": "http.response.body", "body": text, "more_body": True})
                    await trio.sleep(0 if self._is_over else POLL_S)
                nursery.cancel_scope.cancel()
        finally:
            if not self._is_over:
                with trio.move_on_after(END_S, shield=True):
                    await self._ask(self._order._replace(ends=True))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _ask(self, order: Order) -> Progress:
        return await self._fleet.judge(self._device_id, order)

    def _worded(self, progress: Progress) -> bytes:
        """The news as server-sent events, or a comment when there is none for long."""
        steps = progress.steps[self._told :]
        self._told += len(steps)
        text = b"".join(_event("step", {"text": step}) for step in steps)
        if progress.outcome is not None:
            text += _event("findings", progress.outcome)
        elif progress.result != "done":
            text += _event("failed", {"reason": progress.refusal or UNKNOWN})
        self._is_over = progress.outcome is not None or progress.result != "done"
        self._silent_s = 0.0 if text else self._silent_s + POLL_S
        if self._silent_s >= KEEP_ALIVE_S:
            self._silent_s = 0.0
            return b": still there\n\n"
        return text


def _event(name: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
