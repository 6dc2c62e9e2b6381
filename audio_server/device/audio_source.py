"""Sound that a playback sends: a clip is one source, a generator or a live channel another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from audio_server.wire.audio import frame_packet


class SourceEnded(Exception):
    """Raised by `slice` of a source without a length: its sound is over, and the take ends well."""


class NoSound(Exception):
    """Raised by `slice` of a source that has no sound now; the text, which operators see, says why.
    The take fails."""


class AudioSource(Protocol):
    """Opus packets of 20 ms (48 kHz, mono), framed as gRPC messages of `AudioPacket`.

    Any number of playbacks read one source at once. Methods run on the event loop: they must
    return at once. An error that `slice` raises ends the playback as failed, and nothing else.
    """

    @property
    def name(self) -> str:
        """The name that pages, commands and events show."""

    @property
    def packets(self) -> int | None:
        """Length in packets; None for sound without an end, which plays until it is stopped."""

    def slice(self, start: int, stop: int) -> bytes:
        """Return the messages of packets `start` to `stop` (exclusive), back to back.

        Packet 0 carries `is_start`, the last one `is_end`, every packet is valid Opus and none
        is empty: a device with broken sound has none for the rest of its connection (device
        contract, section 2). A position is asked for more than once: by other devices, and after
        a pause.
        """

    # A live channel has `begin_take(lead_s)` as well, which returns the `LiveTake` of one take.


class PacketSource:
    """A source made of a function from the position to the Opus packet at that position."""

    def __init__(
        self, name: str, packet_at: Callable[[int], bytes], packets: int | None = None
    ) -> None:
        self.name = name
        self.packets = packets
        self._packet_at = packet_at

    def slice(self, start: int, stop: int) -> bytes:
        """As `AudioSource.slice`. Raises `ValueError` for an empty packet, the function's fault."""
        return b"".join(self._message(position) for position in range(start, stop))

    def _message(self, position: int) -> bytes:
        data = self._packet_at(position)
        if not data:
            raise ValueError(f"{self.name}: packet {position} is empty")
        is_end = self.packets is not None and position == self.packets - 1
        return frame_packet(data, is_start=position == 0, is_end=is_end)
