"""The formats and codecs that are decoded: those in which people keep sound.

Everything else that FFmpeg can read is refused: lists and scripts that ask for other files or make
up sound without end, pictures, and formats that take any bytes for sound.
"""

from __future__ import annotations

from typing import Final

import av

_CONTAINERS = (
    "aac ac3 aiff amr amrnb amrwb ape asf au avi caf dsf dts dtshd eac3 flac flv iff ircam loas "
    "matroska mlp mov mp3 mpc mpc8 mpegts ogg shn sox tak truehd tta voc w64 wav wv xwma"
)

_LOSSY = (
    "aac aac_latm ac3 amrnb amrwb dca eac3 gsm gsm_ms ilbc libopencore_amrnb libopencore_amrwb "
    "libopus mp1 mp1float mp2 mp2float mp3 mp3float mpc7 mpc8 nellymoser opus qcelp qdm2 qdmc "
    "speex truespeech vorbis wmapro wmav1 wmav2 wmavoice"
)
_LOSSLESS = "alac als ape flac mlp shorten tak truehd tta wavpack wmalossless"
_SIMPLE = (
    "8svx_exp 8svx_fib adpcm_ima_qt adpcm_ima_wav adpcm_ms adpcm_swf adpcm_yamaha dsd_lsbf "
    "dsd_lsbf_planar dsd_msbf dsd_msbf_planar g722 g723_1 g726 g726le mace3 mace6"
)
_PCM = {name for name in av.codecs_available if name.startswith("pcm_")}

CODECS: Final = frozenset(f"{_LOSSY} {_LOSSLESS} {_SIMPLE}".split()) | _PCM
"""Names of FFmpeg's decoders that may be used."""

OPTIONS: Final = {
    # A file reaches out neither to the network nor to other files.
    "protocol_whitelist": "none",
    "format_whitelist": _CONTAINERS.replace(" ", ","),
    # FFmpeg decodes the first frames of all streams to learn about them, pictures too.
    "codec_whitelist": ",".join(sorted(CODECS)),
}
