"""Playing any clip now, on any devices."""

from __future__ import annotations

from collections.abc import Sequence

from audio_server.web.api import models
from audio_server.web.api.devices import chosen, summed_up
from audio_server.web.api.operation import JSON_IDS_BYTES, ApiRequest, Operation
from audio_server.web.context import Context


class PlayOperations:
    """They need to know both the devices and the clips."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def all(self) -> Sequence[Operation]:
        """All of them."""
        unclear = "the JSON is invalid, or several clips have that title"
        no_clip = {404: "no such clip", 422: unclear}
        return (
            Operation(
                "POST",
                "/api/play",
                self.play,
                models.Outcomes,
                body=models.Play,
                json_max_bytes=JSON_IDS_BYTES,
                problems=no_clip,
            ),
        )

    async def play(self, asked: ApiRequest) -> models.Outcomes:
        """Play a clip now, on some devices or all, over any other take."""
        mode = self._context.repository.find(asked.body.clip).mode
        return summed_up(await self._context.fleet.play(chosen(asked.body.devices), mode))
