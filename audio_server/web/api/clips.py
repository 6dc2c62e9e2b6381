"""What can be asked about clips, and done to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from audio_server.web.api import models
from audio_server.web.api.operation import Asked, Operation
from audio_server.web.house import House

UNCHANGED: Final = {422: "a file in the folder is no clip; nothing has changed"}


class ClipOperations:
    """They work on the shelf. Each change answers when it is played."""

    def __init__(self, house: House) -> None:
        self._shelf = house.shelf

    @property
    def all(self) -> Sequence[Operation]:
        """All of them."""
        return (
            Operation("GET", "/api/clips", self.list_clips, models.Clips),
            Operation(
                "POST", "/api/clips/reload", self.reload_clips, models.Clips, problems=UNCHANGED
            ),
        )

    async def list_clips(self, asked: Asked) -> models.Clips:
        """All clips; the first is played in mode 0."""
        return msgspec.convert({"clips": self._shelf.entries}, models.Clips, from_attributes=True)

    async def reload_clips(self, asked: Asked) -> models.Clips:
        """Read the folder of clips anew."""
        await self._shelf.reload()
        return await self.list_clips(asked)
