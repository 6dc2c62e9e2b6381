"""Whether a row is another than before, for one who has followed it.

Times in rows are those of the loop as seconds since 1970, and differ a little each time.
"""

from __future__ import annotations

from audio_server.fleet.interface import Row
from audio_server.fleet.snapshot import DRIFT_S


def is_news(old: Row | None, new: Row) -> bool:
    """Whether a row has changed. The progress of a take is no change, nor is its lead."""
    if old is None or _lasting(old) != _lasting(new):
        return True
    return any(
        abs(one - other) >= DRIFT_S for one, other in zip(_times(old), _times(new), strict=True)
    )


def _lasting(row: Row) -> Row:
    """Return a row without that which changes by itself."""
    playing, press = row["playing"], row["last_press"]
    return {
        **row,
        "since": None,
        "lead_ms": None,
        "takes": None,
        "last_seen": None,
        "playing": playing and (playing["clip"], playing["mode"], playing["seconds"]),
        "last_press": press and press["button"],
    }


def _times(row: Row) -> list[float]:
    playing, press = row["playing"], row["last_press"]
    times = [row["since"], row["last_seen"] or 0.0]
    times.append(press["at"] if press else 0.0)
    times.append(playing["at"] - playing["position_s"] if playing else 0.0)
    return times
