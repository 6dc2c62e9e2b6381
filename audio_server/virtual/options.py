"""What a virtual device is started with, once the command line has been understood."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audio_server.virtual.verdict import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Values are taken as they are; the command line checks them."""

    host: str = "127.0.0.1"
    port: int = 50051
    device_id: str = "virtual"
    devices: int = 1
    seed: int = 0
    record: Path | None = None
    pcm: str | None = None
    play: bool | None = None
    whole_takes: bool = False
    modes: int | None = None
    lead_ms: int = 300
    tolerance_ms: int = 100

    @property
    def address(self) -> str:
        """The server, as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def limits(self) -> Limits:
        """How far the oracle lets the server go."""
        return Limits(lead_s=self.lead_ms / 1000, tolerance_s=self.tolerance_ms / 1000)
