"""WINDOW_UPDATE on its short way: the windows are those that h2 would have."""

from __future__ import annotations

import struct

from hpack import Encoder
from http2_frames import PREFACE
from hyperframe.frame import Frame as WireFrame
from hyperframe.frame import HeadersFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_peer import request_headers

from audio_server.rpc.errors import PeerError
from audio_server.rpc.http2.connection_state import ConnectionState
from audio_server.rpc.http2.frames import WINDOW_UPDATE, FrameReader
from audio_server.rpc.limits import Limits

LIMITS = Limits()
LARGEST = 2**31 - 1

increments = st.one_of(
    st.integers(0, 3), st.integers(1, 100_000), st.integers(LARGEST - 70_000, LARGEST)
)
streams = st.sampled_from([0, 0, 1, 1, 3, 5, 7, 9])
updates = st.lists(st.tuples(streams, increments), max_size=12)


class Peer:
    """One end that was told something, and what it then allows itself to send."""

    def __init__(self, *, short: bool) -> None:
        self.http2 = ConnectionState(LIMITS, client_side=False)
        self.events: list[str] = []
        self._short = short
        self._reader = FrameReader(LIMITS, client_side=False)
        self._on_readable(PREFACE + SettingsFrame(0).serialize())
        encoder = Encoder()
        for stream_id in (1, 3, 5):
            block = encoder.encode(request_headers())
            headers = HeadersFrame(stream_id, block, flags=["END_HEADERS"])
            self.on_readable(headers)
        self.on_readable(RstStreamFrame(5, error_code=8))

    def on_readable(self, frame: WireFrame) -> None:
        """Take a frame, on the short way where it may be."""
        self._on_readable(frame.serialize())

    def _on_readable(self, wire: bytes) -> None:
        self._reader.add(wire)
        while frame := self._reader.next():
            if frame.type == WINDOW_UPDATE and self._short and self.http2.take_window(frame):
                self.events.append(f"WindowUpdated {frame.stream_id}")
            else:
                for event in self.http2.receive(frame):
                    self._note(event)

    def _note(self, event: object) -> None:
        name = type(event).__name__
        self.events.append(f"{name} {getattr(event, 'stream_id', '')}")

    @property
    def windows(self) -> list[int]:
        """What may be sent on each stream."""
        return [
            self.http2.window(stream_id) if self.http2.is_open(stream_id) else 0
            for stream_id in (1, 3, 5, 7)
        ]


def update(stream_id: int, increment: int) -> WireFrame:
    frame = WindowUpdateFrame(stream_id)
    frame.window_increment = increment
    return frame


@settings(deadline=None)
@given(updates)
def test_both_ways_lead_to_the_same(told: list[tuple[int, int]]) -> None:
    short, long = Peer(short=True), Peer(short=False)
    for stream_id, increment in told:
        failures = []
        for peer in (short, long):
            try:
                peer.on_readable(update(stream_id, increment))
            except PeerError as error:
                failures.append(error.code)
        assert len(failures) in (0, 2)
        assert failures[:1] == failures[1:]
        if failures:
            return
        assert short.windows == long.windows
        assert bytes(short.http2.out) == bytes(long.http2.out)
    assert short.events == long.events


def test_the_reserved_bit_is_no_part_of_the_size() -> None:
    peer = Peer(short=True)
    before = peer.windows[0]
    frame = update(1, 1000).serialize()
    flagged = frame[:9] + struct.pack(">I", 1000 | 1 << 31)
    peer._on_readable(flagged + update(0, 1000).serialize())
    assert peer.windows[0] == before + 1000
    assert peer.events[-2:] == ["WindowUpdated 1", "WindowUpdated 0"]
