"""Names that outlive the server: a `NameStore` on the file that modes are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_server.state.modes import FileModeStore


class FileNames:
    """The names of devices in `store`."""

    def __init__(self, store: FileModeStore) -> None:
        self._store = store

    def get(self, device_id: str) -> str | None:
        """The name last put."""
        return self._store.name_of(device_id)

    def put(self, device_id: str, name: str | None) -> None:
        """Remember a name, and have it written soon; None forgets it."""
        self._store.put_name(device_id, name)

    async def wait_durable(self, device_id: str) -> None:
        """Return when the name is in the file, or cannot be."""
        await self._store.wait_name_kept(device_id)
