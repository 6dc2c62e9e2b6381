"""Sound of any number of channels mixed down to mono, 48 kHz, 16 bits."""

from __future__ import annotations

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph

from audio_server.clips.faults import Fault, Refused
from audio_server.clips.opus import RATE_HZ

CHANNELS_MAX = 64
"""FFmpeg mixes no more."""

RATE_MIN_HZ, RATE_MAX_HZ = 1000, 768_000
"""Rates that are resampled. At 1 Hz a file of a few kilobytes would last for hours."""

_KNOWN_LAYOUTS = (
    "mono stereo downmix 2.1 3.0 3.0(back) 4.0 quad quad(side) 3.1 4.1 5.0 5.0(side) 5.1 5.1(side) "
    "6.0 6.0(front) hexagonal 6.1 6.1(back) 6.1(front) 7.0 7.0(front) 7.1 7.1(wide) "
    "7.1(wide-side) octagonal"
)
"""Layouts that FFmpeg mixes down by the place of each loudspeaker. It refuses others, or leaves
channels of theirs out; there every channel is as loud as the next one."""


class MonoMixer:
    """Mixes down and resamples frames that all have the shape of `frame`.

    Raises `Refused` for a shape that cannot be mixed.
    """

    def __init__(self, frame: AudioFrame) -> None:
        if not RATE_MIN_HZ <= frame.sample_rate <= RATE_MAX_HZ:
            raise Refused(Fault.RATE, frame.sample_rate)
        channels = frame.layout.nb_channels
        if channels > CHANNELS_MAX:
            raise Refused(Fault.CHANNELS, channels)
        is_known = channels == 1 or frame.layout.name in _KNOWN_LAYOUTS.split()
        self._graph = None if is_known else _average(frame)
        self._resampler = AudioResampler("s16", "mono", RATE_HZ)

    def push(self, frame: AudioFrame) -> list[AudioFrame]:
        """The sound that is ready after `frame`."""
        frame.pts = None  # sound is played without a hole, at any time stamps
        mixed = [frame] if self._graph is None else _through(self._graph, frame)
        return [ready for one in mixed for ready in self._resampler.resample(one)]

    def finish(self) -> list[AudioFrame]:
        """The rest. Nothing may be pushed after this."""
        return self._resampler.resample(None)


def _average(frame: AudioFrame) -> Graph:
    """A graph that gives all channels of frames like this one the same share."""
    graph = Graph()
    graph.threads = 1  # the process may start none
    shape = f"sample_rate={frame.sample_rate}:sample_fmt={frame.format.name}"
    times = f"time_base=1/{frame.sample_rate}"
    source = graph.add("abuffer", f"{shape}:{times}:channel_layout={frame.layout.name}")
    channels = frame.layout.nb_channels
    shares = "+".join(f"{1 / channels:.9f}*c{channel}" for channel in range(channels))
    # As floats: the shares of 64 channels are small.
    wide, pan = graph.add("aformat", "sample_fmts=flt"), graph.add("pan", f"mono|c0={shares}")
    sink = graph.add("abuffersink")
    source.link_to(wide)
    wide.link_to(pan)
    pan.link_to(sink)
    graph.configure()
    return graph


def _through(graph: Graph, frame: AudioFrame) -> list[AudioFrame]:
    graph.push(frame)
    mixed: list[AudioFrame] = []
    while True:
        try:
            ready = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return mixed
        assert isinstance(ready, AudioFrame)
        mixed.append(ready)
