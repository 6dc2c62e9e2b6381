"""What a row says of a device."""

from __future__ import annotations

import json
import time

import pytest
import trio
from fleet_kit import CLIPS, PEER, press, standing
from trio.testing import MockClock

from audio_server.device.behaviour import Button
from audio_server.device.telemetry import Telemetry
from audio_server.fleet.names import BadName


async def test_a_new_device(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected() as _:
            await trio.sleep(2)
            (row,) = await at.fleet.rows()
            assert row.pop("since") == pytest.approx(time.time() - 2, abs=1.5)
            assert row.pop("first_seen") == pytest.approx(time.time(), abs=60)
            assert row == {
                "id": "a",
                "name": None,
                "tags": [],
                "last_seen": None,
                "connections": 1,
                "takes": 0,
                "errors_ever": 0,
                "connected": True,
                "address": PEER,
                "worker": None,
                "node": None,
                "mode": 0,
                "mode_name": "clip 0",
                "state": "idle",
                "playing": None,
                "leds": ["#ffffffff", "#0060ffff", *["#00000000"] * 4],
                "confirmed": None,
                "last_press": None,
                "battery": None,
                "lead_ms": None,
                "round_trip_ms": None,
                "errors": 0,
                "last_error": None,
                "corrections": 0,
                "streams": ["status", "events", "audio"],
                "firmware": None,
            }
            assert await at.fleet.row("b") is None


async def test_a_device_that_plays(autojump_clock: MockClock) -> None:
    async with standing() as at:
        with at.connected() as link:
            await press(link, Button.MODE, Button.PLAY)
            await trio.sleep(0.5)
            row = await at.fleet.row("a")
            assert row == json.loads(json.dumps(row))
            assert row["state"] == "playing"
            playing = row["playing"]
            assert (playing["clip"], playing["mode"], playing["seconds"]) == ("clip 1", 1, 2.0)
            assert playing["position_s"] == pytest.approx(0.5, abs=0.01)
            assert playing["at"] == pytest.approx(time.time(), abs=1.5)
            assert 60 <= row["lead_ms"] <= 300
            assert row["last_press"]["button"] == "play"


async def test_what_a_device_says_of_itself() -> None:
    async with standing() as at:
        with at.connected():
            at.devices.by_id["a"].report = Telemetry(
                (0xFF0000FF, *[0xFF] * 5), 0.8, 0.0123, corrections=2
            ).erred("out of light")
            row = await at.fleet.row("a")
            assert row is not None
            assert row["confirmed"] == ["#ff0000", *["#000000"] * 5]
            assert row["battery"] == 0.8
            assert (row["round_trip_ms"], row["corrections"]) == (12.3, 2)
            assert (row["errors"], row["last_error"]) == (1, "out of light")


async def test_a_mode_without_a_clip_has_no_name() -> None:
    async with standing(CLIPS[:1]) as at:
        with at.connected() as link:
            await press(link, Button.MODE, Button.PLAY)
            row = await at.fleet.row("a")
            assert row is not None
            assert (row["mode"], row["mode_name"], row["state"]) == (1, None, "error")


async def test_a_stream_that_is_not_open_is_missed() -> None:
    async with standing() as at:
        with at.devices.attach_events("a", 1):
            row = await at.fleet.row("a")
            assert row is not None
            assert row["streams"] == ["events"]


async def test_a_name_is_given_and_taken_away() -> None:
    async with standing() as at:
        with at.connected():
            assert (await at.fleet.rename("a", " Küche  ")).result == "done"
            row = await at.fleet.row("a")
            assert row is not None
            assert row["name"] == "Küche"
        with at.connected(number=2):
            assert (await at.fleet.rows())[0]["name"] == "Küche"
            await at.fleet.rename("a", None)
            assert (await at.fleet.rows())[0]["name"] is None
        assert (await at.fleet.rename("nobody", "x")).result == "gone"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Ku\u0308che\u202f1", "K\u00fcche 1"),
        (
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        ),
    ],
)
async def test_ordinary_names_of_all_machines_are_taken(given: str, kept: str) -> None:
    async with standing() as at:
        with at.connected():
            assert (await at.fleet.rename("a", given)).result == "done"
            assert (await at.fleet.rows())[0]["name"] == kept


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a\nb", "a\x00", "\ud800", "\u202e"])
async def test_what_is_no_name_changes_nothing(name: str) -> None:
    async with standing() as at:
        with at.connected():
            with pytest.raises(BadName, match="a name has"):
                await at.fleet.rename("a", name)
            assert (await at.fleet.rows())[0]["name"] is None
