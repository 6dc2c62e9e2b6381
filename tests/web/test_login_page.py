"""Beyond loopback, over HTTPS: a browser logs in, uses its device, and logs out; others cannot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import DevicePage
from playwright.sync_api import Browser, Page, Route, expect
from web_server import WebServer

from audio_server.identity.dev_certs import make_dev_certs

TOKEN = "0123456789abcdef0123"
ATTACK = """async (url) => {
  const body = JSON.stringify({ button: "mode" });
  const options = { method: "POST", mode: "no-cors", credentials: "include", body };
  await fetch(url, options).catch(() => null);
}"""


@pytest.fixture(autouse=True)
def no_asyncio_loop() -> None:
    """Playwright has one; the server is another process."""


@pytest.fixture(scope="module")
def secured(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server on all addresses, with a certificate and a token."""
    folder = tmp_path_factory.mktemp("secured")
    papers = make_dev_certs(folder / "papers", ["localhost"], []).server
    (folder / "token").write_text(TOKEN)
    tls = ["--tls-cert", str(papers.cert), "--tls-key", str(papers.key)]
    token = ["--http-token-file", str(folder / "token")]
    server = WebServer(folder, tones, *tls, *token, host="0.0.0.0")
    server.start()
    yield server
    server.stop()


def log_in(page: Page, token: str) -> None:
    page.fill("[name=token]", token)
    page.click("button")


def test_a_browser_logs_in_and_out(secured: WebServer, chromium: Browser) -> None:
    at = DevicePage(chromium, f"{secured.url}/device?id=kitchen", ignore_https_errors=True)
    log_in(at.page, "wrong")
    expect(at.page.locator("#notice")).to_contain_text("not the token")
    assert at.page.context.cookies() == []
    log_in(at.page, TOKEN)
    at.page.wait_for_url(f"{secured.url}/device?id=kitchen")
    (cookie,) = at.page.context.cookies()
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    at.connect()
    at.press("mode")
    at.wait_state("Idle. Mode 1")
    check_stranger(at.page, secured)
    at.page.goto(f"{secured.url}/")
    at.forgive("401")  # what the page asks between its logout and the next page
    at.page.click("#logout")
    at.page.wait_for_url("**/login*")
    at.page.goto(f"{secured.url}/device")
    assert "/login?next=" in at.page.url
    assert at.page.context.cookies() == []
    at.page.goto(f"{secured.url}/login?next=%2F%09%2F127.0.0.1:1")  # no path to a browser
    assert at.page.input_value("[name=next]") == "/"
    at.close()


def check_stranger(page: Page, secured: WebServer) -> None:
    """A page of somebody else, in the same browser, presses no button."""

    def give(route: Route) -> None:
        route.fulfill(body="<title>stranger</title>", content_type="text/html")

    stranger = page.context.new_page()
    stranger.route("https://127.0.0.1:1/*", give)  # the same site, so that the cookie is sent
    stranger.goto("https://127.0.0.1:1/")
    stranger.evaluate(ATTACK, f"{secured.url}/api/devices/kitchen/press")
    stranger.close()
    row = page.evaluate("fetch('/api/devices/kitchen').then((answer) => answer.json())")
    assert row["mode"] == 1
