"""Pages while their server is away: they say so, nothing can be pressed, and they come back."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from browser import Look, MakePage, Watched
from fake_facts import device
from fake_server import FakeServer
from playwright.sync_api import Route, expect
from web_server import WebServer

AWAY = "The server is away. Reconnecting …"
UNREACHED = "ERR_"  # in a browser's console, for each try

PAGES = {
    "/": (
        "#play-all",
        "#announce-all",
        "#stop-all",
        "#announce",
        "#play",
        "#stop",
        "#presses button",
    ),
    "/devices/one": ("#presses button", "#announce", "#play", "#stop", "#rename"),
    "/clips": ("#add", "#reload", ".handle", ".acts button"),
}


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the server is another process, the fake one another thread."""


def opened(look: Look, fake: FakeServer, path: str, **options: Any) -> Watched:
    """A page of two devices of which one is selected, ready to be used."""
    fake.put(device("one", mode=1, at=1.0), device("two"))
    at = look(path, **options)
    expect(at.page.locator("#notice")).to_have_text("")
    all_enabled_once_selected(at, path)
    return at


def all_enabled(at: Watched, path: str) -> None:
    for selector in PAGES[path]:
        expect(at.page.locator(selector).first).to_be_enabled()


def all_disabled(at: Watched, path: str) -> None:
    expect(at.page.locator("#notice")).to_have_text(AWAY)
    for selector in PAGES[path]:
        for one in at.page.locator(selector).all():
            expect(one).to_be_disabled()


@pytest.mark.parametrize("path", PAGES)
def test_a_page_without_its_server_says_so_and_comes_back(
    path: str, look: Look, fake: FakeServer
) -> None:
    at = opened(look, fake, path)
    at.page.context.set_offline(True)
    all_disabled(at, path)
    if path == "/devices/one":
        expect(at.page.locator("#state")).to_have_text("Reconnecting …")
    fake.put(device("one", mode=3, at=2.0))
    at.page.context.set_offline(False)
    expect(at.page.locator("#notice")).to_have_text("")
    all_enabled(at, path)
    if path == "/devices/one":
        expect(at.page.locator("#state")).to_have_text("Connected")
        expect(at.page.locator("#doing")).to_have_text("Plays triangle · mode 3 triangle")
    if path == "/":
        expect(at.page.locator("#rows .row", has_text="one")).to_contain_text("3 triangle")
    at.forgive(UNREACHED)


@pytest.mark.parametrize("path", PAGES)
def test_a_server_that_falls_silent_is_away(path: str, look: Look, fake: FakeServer) -> None:
    """Its stream stays open, and nothing comes."""
    at = opened(look, fake, path)
    at.page.clock.install()
    at.page.reload()
    all_enabled_once_selected(at, path)
    at.page.route("**/api/**", lambda route: route.abort())
    at.page.clock.fast_forward(12_000)
    all_disabled(at, path)
    at.page.unroute_all()
    at.page.clock.fast_forward(12_000)
    expect(at.page.locator("#notice")).to_have_text("")
    all_enabled(at, path)
    at.forgive(UNREACHED)


def all_enabled_once_selected(at: Watched, path: str) -> None:
    if path == "/":
        at.page.locator("#rows .row", has_text="one").locator("input").click()
    all_enabled(at, path)


def test_a_proxy_without_its_server_is_away_too(look: Look, fake: FakeServer) -> None:
    at = opened(look, fake, "/")
    page = "<html><h1>502 Bad Gateway</h1><p>nginx/1.22</p></html>"
    at.page.route("**/api/**", lambda route: route.fulfill(status=502, body=page))
    at.page.route_web_socket("**/api/**", lambda socket: socket.close())
    fake.end_streams()
    all_disabled(at, "/")
    at.page.unroute_all()
    at.page.route_web_socket("**/api/**", lambda socket: socket.connect_to_server() and None)
    expect(at.page.locator("#notice")).to_have_text("")
    at.forgive("502")


def html(status: int) -> Callable[[Route], None]:
    return lambda route: route.fulfill(status=status, body="<html>Internal Server Error</html>")


ODD_ANSWERS: dict[str, tuple[Callable[[Route], None], str]] = {
    "none": (lambda route: route.abort(), AWAY),
    "no json": (html(200), AWAY),
    "a page of a proxy": (html(504), AWAY),
    "an error of no words": (html(500), "The server answered with status 500. Try again"),
    "a refusal": (
        lambda route: route.fulfill(status=409, body='{"error": "the clip is not there"}'),
        "the clip is not there",
    ),
}


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_what_went_wrong_is_said_in_words_of_ours(kind: str, look: Look, fake: FakeServer) -> None:
    answer, words = ODD_ANSWERS[kind]
    at = opened(look, fake, "/")
    at.page.route("**/api/stop", answer)
    at.page.click("#stop")
    expect(at.page.locator("#done")).to_contain_text(words)
    at.forgive("Failed to load resource")


@pytest.mark.parametrize("kind", ODD_ANSWERS)
def test_an_upload_that_fails_is_said_in_words_of_ours(
    kind: str, look: Look, fake: FakeServer
) -> None:
    answer, words = ODD_ANSWERS[kind]
    at = opened(look, fake, "/clips")
    at.page.route("**/api/clips?name=*", answer)
    bell = {"name": "bell.flac", "mimeType": "audio/flac", "buffer": b"fLaC"}
    at.page.set_input_files("#files", bell)  # type: ignore[arg-type]
    said = {"none": "Not sent: the server is away", "a page of a proxy": "with status 504"}
    expect(at.page.locator(".upload.failed")).to_contain_text(said.get(kind, words))
    at.forgive("Failed to load resource")


def test_a_device_without_its_server_cannot_be_pressed(
    make_page: MakePage, web_server: WebServer
) -> None:
    page = make_page()
    page.connect()
    page.press("mode")
    page.wait_state("Idle. Mode 1")
    buttons = page.page.locator("[data-press]")
    web_server.stop()
    page.wait_state(AWAY)
    for button in buttons.all():
        expect(button).to_be_disabled()
    page.page.keyboard.press("m")
    web_server.start()
    page.wait_state("Idle. Mode 1")  # and not 2: the key was pressed on nothing
    for button in buttons.all():
        expect(button).to_be_enabled()
    assert all("ERR_CONNECTION_REFUSED" in error for error in page.errors)
    page.errors.clear()


def test_a_device_whose_server_falls_silent_is_away(
    make_page: MakePage, web_server: WebServer
) -> None:
    page = make_page()
    page.connect()
    page.wait_state("Idle. Mode 0")
    web_server.signal(signal.SIGSTOP)
    try:
        page.page.locator("#state", has_text=AWAY).wait_for(timeout=20_000)
        expect(page.page.locator("[data-press=mode]")).to_be_disabled()
    finally:
        web_server.signal(signal.SIGCONT)
    page.wait_state("Idle. Mode 0")
    expect(page.page.locator("[data-press=mode]")).to_be_enabled()
    page.errors.clear()
