"""Ogg Opus (RFC 7845): its packets, with the part of each that the container wants heard.

A file may be a chain of links, each with a head of its own. A head has a gain and the number of
samples dropped at the beginning; the last page of a link has the number dropped at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from audio_server.clips.ogg import CONTINUED, FIRST, LAST, Page, read_pages, take_page
from audio_server.clips.opus import is_sendable, is_well_formed, packet_samples

START_MAX_SAMPLES = 480
"""Samples of a dropped beginning that a device may hear: the delay of an encoder (312 in libopus),
with that of a resampler before it. More than 10 ms is sound that was cut off."""

_PACKET_MAX_BYTES = 16 << 20
"""Room for the pictures that tags may hold."""

_LIVE_PACKET_MAX_BYTES = 1 << 20
"""The same for sound that comes from a network."""

_HEAD_MIN_BYTES = 19


class NotPlainOpus(Exception):
    """The file is not one Ogg Opus stream, or several one after the other."""


class Piece(NamedTuple):
    """A packet, and the head of its link."""

    head: bytes
    data: bytes
    dropped: int
    """How many of its last samples at 48 kHz are not to be heard."""


def channels_of(head: bytes) -> int:
    """How many channels the head of a link asks for."""
    return head[9]


def can_pass(piece: Piece) -> bool:
    """Return whether a device that is sent the packet as it is plays the sound that the container
    wants heard, but for a part of the packet, or the few milliseconds of `START_MAX_SAMPLES`.

    A device decodes mono, knows of no gain, and plays every packet in full.
    """
    is_heard = piece.dropped < packet_samples(piece.data)
    return is_heard and is_sendable(piece.data) and _is_plain(piece.head)


def _is_plain(head: bytes) -> bool:
    """Mono, in one stream, with no gain and hardly a pre-skip (RFC 7845, section 5.1)."""
    pre_skip = int.from_bytes(head[10:12], "little")
    has_gain, is_mapped = head[16:18] != b"\0\0", head[18] != 0
    return channels_of(head) == 1 and pre_skip <= START_MAX_SAMPLES and not (has_gain or is_mapped)


def read_opus(file: BinaryIO) -> Iterator[Piece]:
    """The packets of a file, from its beginning. Raises `NotPlainOpus`, at once or later."""
    file.seek(0)
    link: _Link | None = None
    for page in read_pages(file):
        if page.flags & FIRST:
            if link is not None and not link.has_sound:
                raise NotPlainOpus  # two streams at the same time
            link = _Link(page)
        elif link is not None:
            yield from link.take(page)
    if link is None:
        raise NotPlainOpus


class OpusStream:
    """Ogg Opus that comes in parts, and is to be played at once, as it is."""

    def __init__(self) -> None:
        self._rest = b""
        self._link: _Link | None = None

    def push(self, data: bytes) -> list[bytes]:
        """Return the packets that end in the next part. Raises `NotPlainOpus`, also for a damaged
        page, and for packets that a device cannot be sent as they are."""
        packets: list[bytes] = []
        self._rest += data
        while True:
            try:
                page, self._rest = take_page(self._rest)
            except ValueError:
                raise NotPlainOpus from None
            if page is None:
                return packets
            packets += self._packets_of(page)

    def _packets_of(self, page: Page) -> Iterator[bytes]:
        if page.flags & FIRST:
            self._link = _Link(page, _LIVE_PACKET_MAX_BYTES)
        elif self._link is None:
            raise NotPlainOpus
        else:
            for piece in self._link.take(page):
                if not (can_pass(piece._replace(dropped=0)) and is_well_formed(piece.data)):
                    raise NotPlainOpus
                yield piece.data


class _Link:
    """One logical stream, page by page."""

    def __init__(self, page: Page, packet_max_bytes: int = _PACKET_MAX_BYTES) -> None:
        self.head = page.body
        self._packet_max_bytes = packet_max_bytes
        self.has_sound = False
        self._serial = page.serial
        self._number = page.number
        self._part: bytearray | None = None  # of a packet that goes on in the next page
        self._has_tags = False
        self._granule = 0
        is_head = self.head[:8] == b"OpusHead" and len(self.head) >= _HEAD_MIN_BYTES
        if not is_head or self.head[8] >> 4 or not channels_of(self.head):
            raise NotPlainOpus

    def take(self, page: Page) -> Iterator[Piece]:
        """The packets that end in the next page."""
        if page.serial != self._serial:
            raise NotPlainOpus
        packets = list(self._packets_of(page))
        if packets and not self._has_tags:
            self._has_tags = True
            if packets.pop(0)[:8] != b"OpusTags":
                raise NotPlainOpus
        self.has_sound = self.has_sound or bool(packets)
        yield from self._cut(packets, page)
        if packets and page.granule >= 0:
            self._granule = page.granule

    def _packets_of(self, page: Page) -> Iterator[bytes]:
        """Whole packets; one of which a page is missing is left out."""
        part, at = self._begun(page), 0
        for lace in page.laces:
            if part is not None:
                part += page.body[at : at + lace]
            at += lace
            if lace < 255:
                if part is not None:
                    yield bytes(part)
                part = bytearray()
        is_open = page.laces[-1:] == b"\xff" and part is not None
        self._part = part if is_open and len(part or b"") <= self._packet_max_bytes else None

    def _begun(self, page: Page) -> bytearray | None:
        """The packet that the page goes on with; None where its beginning was lost."""
        is_next = page.number == self._number + 1 & 0xFFFFFFFF
        self._number = page.number
        if not page.flags & CONTINUED:
            return bytearray()
        return self._part if is_next else None

    def _cut(self, packets: list[bytes], page: Page) -> Iterator[Piece]:
        """Drop from the end of the last page's packets the samples past its granule position."""
        samples = [packet_samples(packet) for packet in packets]
        extra = 0
        if page.flags & LAST and page.granule >= 0:
            extra = max(0, sum(samples) - max(0, page.granule - self._granule))
        later = sum(samples)
        for packet, size in zip(packets, samples, strict=True):
            later -= size
            yield Piece(self.head, packet, min(size, max(0, extra - later)))
