"""The firmware that a device names in the metadata of its calls."""

from __future__ import annotations

import pytest
from multidict import MultiDict
from service_home import open_home
from trio.testing import MockClock, wait_all_tasks_blocked

from audio_server.wire.firmware import FIRMWARE_MAX, firmware_in


@pytest.mark.parametrize(
    ("named", "kept"),
    [
        (["2.7.1"], "2.7.1"),
        (["  esp32 2.7.1 (b)  "], "esp32 2.7.1 (b)"),
        (["x" * 500], "x" * FIRMWARE_MAX),
        (["a\nb\x1b[1m\u00fc"], "ab[1m"),
        ([" \t "], None),
        ([""], None),
        ([], None),
        (["1", "2"], None),
        ([b"1"], None),
    ],
)
def test_a_name_is_bounded_and_clean(named: list[str], kept: str | None) -> None:
    assert firmware_in(MultiDict([("firmware", one) for one in named])) == kept
    assert firmware_in(None) is None


async def test_a_device_has_the_firmware_that_it_names(autojump_clock: MockClock) -> None:
    async with open_home() as home, home.connect() as stub:
        metadata = {"device_id": "kitchen", "firmware": "2.7.1"}
        async with stub.StatusStream.open(metadata=metadata):
            await wait_all_tasks_blocked()
            assert home.devices.by_id["kitchen"].firmware == "2.7.1"
