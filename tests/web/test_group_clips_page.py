"""The clips of groups on the page of clips, and those of a device's own group on its page."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import PHONE, Look
from fake_facts import Json, clip, device
from fake_server import FakeServer
from playwright.sync_api import FilePayload, expect

BELL: FilePayload = {"name": "bell.flac", "mimeType": "audio/flac", "buffer": b"fLaC" * 1000}
WIDE = {"width": 1280, "height": 820}


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the fake server is in a thread of its own."""


def group(name: str) -> Json:
    return {"name": name, "source": "api", "settings": {}, "devices": 2, "connected": 1}


def fill(fake: FakeServer) -> None:
    fake.groups = [group("hall"), group("lobby")]
    fake.group_clips["lobby"] = [clip(0, "horn"), clip(1, "drum")]


def test_the_clips_of_a_group_are_chosen_and_changed(
    look: Look, fake: FakeServer, screenshots: Path
) -> None:
    fill(fake)
    at = look("/clips", viewport=WIDE)
    titles = at.page.locator("#clips .title")
    expect(titles).to_have_text(["home", "square", "rhomboid", "triangle", "circle"])
    expect(at.page.locator("#group option")).to_have_text(["all devices", "hall", "lobby"])
    at.page.locator("#group").select_option("lobby")
    expect(titles).to_have_text(["horn", "drum"])
    expect(at.page.locator("#whose")).to_be_empty()
    assert at.page.url.endswith("/clips?group=lobby")
    download = at.page.get_by_role("link", name="Download drum")
    expect(download).to_have_attribute("href", "/api/clips/01-drum/sound?group=lobby")
    expect(at.page.locator(".waveform svg")).to_have_count(4)
    at.page.screenshot(path=screenshots / "clips-of-a-group.png")
    at.page.locator("#files").set_input_files(BELL)
    expect(titles).to_have_text(["horn", "drum", "bell"])
    assert [one["title"] for one in fake.clips] == [
        "home",
        "square",
        "rhomboid",
        "triangle",
        "circle",
    ]
    at.assert_open_to_all()
    at.page.reload()
    expect(titles).to_have_text(["horn", "drum", "bell"])
    at.page.locator("#group").select_option("hall")
    expect(titles).to_have_count(5)
    expect(at.page.locator("#whose")).to_contain_text("has the clips of all devices")
    at.page.locator("#files").set_input_files(BELL)
    expect(titles).to_have_count(6)
    expect(at.page.locator("#whose")).to_be_empty()
    at.page.locator("#group").select_option("")
    expect(titles).to_have_count(5)
    assert at.page.url.endswith("/clips")


def test_a_group_of_the_address_that_is_none_is_told(look: Look, fake: FakeServer) -> None:
    fill(fake)
    fake.failing["/api/clips"] = (
        404,
        "attic: no device has the tag, and the group has no settings",
    )
    at = look("/clips?group=attic", viewport=PHONE)
    expect(at.page.locator("#notice")).to_contain_text("attic: no device has the tag")
    expect(at.page.locator("#group")).to_have_value("attic")
    del fake.failing["/api/clips"]
    at.page.locator("#group").select_option("lobby")
    expect(at.page.locator("#clips .title")).to_have_text(["horn", "drum"])
    expect(at.page.locator("#notice")).to_be_empty()
    at.forgive("404")
    at.assert_open_to_all()


def test_the_page_of_a_device_plays_the_clips_of_its_group(look: Look, fake: FakeServer) -> None:
    fake.group_clips["hall"] = [clip(0, "horn"), clip(1, "drum")]
    fake.channels = [{"name": "radio", "mode": 5, "sending": True}]
    fake.put(device("hall", tags=["lobby"]))
    at = look("/devices/hall", viewport=WIDE)
    expect(at.page.locator("#clip option")).to_have_text(["0 horn", "1 drum", "2 radio"])
    at.page.locator("#clip").select_option("01-drum")
    at.page.locator("#play").click()
    assert fake.wait_asked("POST", "/api/play") == {"devices": ["hall"], "clip": "01-drum"}
    fake.group_clips["hall"] = [clip(0, "gong")]
    fake.put(device("hall", tags=["attic"]))
    fake.happen("hall", "tagged", "has the tag attic")
    expect(at.page.locator("#clip option")).to_have_text(["0 gong", "1 radio"])
