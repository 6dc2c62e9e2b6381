"""One call of an ordinary client: its windows, and the steps that it has taken."""

from __future__ import annotations

from functools import cache

from h2.stream import StreamInputs
from h2.windows import WindowManager


class Life:
    """The steps of a stream after its request; streams with the same steps share one object."""

    __slots__ = ("is_accepted", "sends_data", "steps", "takes_data")

    def __init__(self, *steps: StreamInputs) -> None:
        self.steps = steps
        self.is_accepted = StreamInputs.SEND_HEADERS in steps
        self.takes_data = StreamInputs.RECV_END_STREAM not in steps
        self.sends_data = StreamInputs.SEND_END_STREAM not in steps


_BEGUN = Life()


@cache
def after(life: Life, *steps: StreamInputs) -> Life:
    return Life(*life.steps, *steps)


class OrdinaryStream:
    """One call that is open. Names are those of h2's streams."""

    __slots__ = ("_inbound_window_manager", "life", "outbound_flow_control_window")

    closed = False

    def __init__(self, inbound_bytes: int, outbound_bytes: int) -> None:
        self._inbound_window_manager = WindowManager(inbound_bytes)
        self.outbound_flow_control_window = outbound_bytes
        self.life = _BEGUN

    @property
    def takes_data(self) -> bool:
        """Whether the client has not ended its side."""
        return self.life.takes_data

    @property
    def sends_data(self) -> bool:
        """Whether we have not ended ours."""
        return self.life.sends_data
