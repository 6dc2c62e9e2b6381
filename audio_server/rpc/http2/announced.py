"""The SETTINGS that a client sends first, as far as they mean something to a server."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from h2.settings import SettingCodes

from audio_server.rpc.http2.header_decoder import MAX_TABLE_BYTES

DEFAULT_WINDOW_BYTES = 65535
_LARGEST_WINDOW = 2**31 - 1
_FRAME_BYTES = range(2**14, 2**24)
_SETTING = struct.Struct(">HI")


class Announced(NamedTuple):
    """The values of a SETTINGS frame that mean something to a server."""

    window_bytes: int = DEFAULT_WINDOW_BYTES
    frame_bytes: int = _FRAME_BYTES.start
    header_list_bytes: int | None = None


@lru_cache(256)
def announced(payload: bytes) -> Announced | None:
    """Return the values of a client's first SETTINGS; None for values that are wrong, that come
    twice, or that make our header table smaller."""
    if len(payload) % _SETTING.size:
        return None
    pairs = list(_SETTING.iter_unpack(payload))
    values = dict(pairs)
    window_bytes = values.get(SettingCodes.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW_BYTES)
    frame_bytes = values.get(SettingCodes.MAX_FRAME_SIZE, _FRAME_BYTES.start)
    if (
        len(values) < len(pairs)
        or values.get(SettingCodes.HEADER_TABLE_SIZE, MAX_TABLE_BYTES) < MAX_TABLE_BYTES
        or values.get(SettingCodes.ENABLE_PUSH, 0) not in (0, 1)
        or values.get(SettingCodes.ENABLE_CONNECT_PROTOCOL, 0) not in (0, 1)
        or window_bytes > _LARGEST_WINDOW
        or frame_bytes not in _FRAME_BYTES
    ):
        return None
    header_list_bytes = values.get(SettingCodes.MAX_HEADER_LIST_SIZE)
    return Announced(window_bytes, frame_bytes, header_list_bytes)
