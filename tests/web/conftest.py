"""Chromium, and a server with clips of known tones.

Playwright brings an asyncio loop of its own, so where a browser is used the proof that none is
made does not hold; there the product is a process of its own.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import FLAGS, WITHIN_MS, DevicePage, Look, MakePage, Watched
from fake_server import FakeServer
from playwright.sync_api import Browser, expect, sync_playwright
from tone_files import write_tone
from web_server import WebServer

TONES = (("hum", 440, 0.6), ("doorbell", 880, 8.0), ("chime", 1320, 8.0))
"""Title, pitch and length (s) of the clips."""


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of clips, one a tone."""
    folder = tmp_path_factory.mktemp("tones")
    for mode, (title, hertz, length_s) in enumerate(TONES):
        write_tone(folder / f"{mode}-{title}.wav", hertz, length_s)
    return folder


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: `SCREENSHOTS`, else a temporary folder."""
    kept = os.environ.get("SCREENSHOTS")
    return Path(kept) if kept else tmp_path_factory.mktemp("screenshots")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, headless."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no chromium on this machine")
    expect.set_options(timeout=2 * WITHIN_MS)  # for machines that do much else
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def web_server(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A server with pages."""
    server = WebServer(tmp_path_factory.mktemp("server"), tones)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def make_page(chromium: Browser, web_server: WebServer) -> Iterator[MakePage]:
    """Opens devices, each as if by another user; in the end none may have had an error."""
    pages: list[DevicePage] = []

    def make(*, query: str = "", script: str = "", **options: object) -> DevicePage:
        url = f"{web_server.url}/device{query}"
        pages.append(DevicePage(chromium, url, script=script, **options))
        return pages[-1]

    yield make
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    """Pages on devices and clips that a test makes up."""
    with FakeServer().run() as server:
        yield server


@pytest.fixture
def look(chromium: Browser, fake: FakeServer) -> Iterator[Look]:
    """Opens pages of the fake server; in the end none may have had an error."""
    pages: list[Watched] = []

    def make(path: str = "/", **options: object) -> Watched:
        pages.append(Watched(chromium, **options))
        pages[-1].page.goto(fake.url + path)
        return pages[-1]

    fake.reset()
    yield make
    for page in pages:
        page.close()
