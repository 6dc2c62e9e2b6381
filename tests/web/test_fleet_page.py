"""The fleet page in a browser, beside devices in other pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import WITHIN_MS
from conftest import MakePage
from playwright.sync_api import Browser, Page, expect
from web_server import WebServer

PHONE = {"width": 360, "height": 740}


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the server is another process."""


@pytest.fixture
def fleet(chromium: Browser, web_server: WebServer) -> Page:
    """The fleet page; an error on its console fails the test."""
    page = chromium.new_page()
    page.set_default_timeout(WITHIN_MS)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(web_server.url)
    return page


def test_it_follows_devices_and_presses_their_buttons(
    fleet: Page, make_page: MakePage, screenshots: Path
) -> None:
    kitchen, hall = make_page(query="?id=kitchen"), make_page(query="?id=hall")
    kitchen.connect()
    hall.connect()
    row = fleet.locator("tr", has_text="kitchen")
    expect(row).to_contain_text("0, 0-440-hertz")
    kitchen.press("mode")
    expect(row).to_contain_text("1, 1-880-hertz")
    fleet.click("text=kitchen")
    fleet.click("#presses >> text=Play")
    kitchen.wait_pitch(880)
    expect(row).to_contain_text("1-880-hertz (8 s)")
    expect(row.locator("[role=img]")).to_have_attribute("aria-label", "LEDs lit: 0, 1, 2")
    fleet.screenshot(path=screenshots / "fleet.png")
    fleet.click("#presses >> text=Stop")
    kitchen.wait_state("Idle. Mode 0")
    hall.wait_state("Idle. Mode 0")
    fleet.fill("#search", "hall")
    expect(row).to_have_count(0)
    fleet.fill("#search", "")
    kitchen.page.click("#power")
    expect(row).to_have_count(0)
    expect(fleet.locator("#pressed")).to_have_text("It is not connected.")
    fleet.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out_of_the_fleet(
    fleet: Page, make_page: MakePage, scheme: str, screenshots: Path
) -> None:
    make_page(query="?id=door").connect()
    fleet.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    fleet.set_viewport_size(PHONE)  # type: ignore[arg-type]
    fleet.click("text=door")
    fleet.screenshot(path=screenshots / f"fleet-phone-{scheme}.png")
    assert fleet.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert [rule["id"] for rule in Axe().run(fleet).response["violations"]] == []
    fleet.close()
