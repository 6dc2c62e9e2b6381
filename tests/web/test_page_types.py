"""The types of the pages' scripts (`nox -s frontend`) are those of the API and the pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import trio

from audio_server.settings import Settings
from audio_server.web.api.about import all_operations
from audio_server.web.api.openapi import openapi
from audio_server.web.context import Context
from audio_server.web.files import STATIC

TYPES = (Path(__file__).parents[1] / "frontend" / "pages.d.ts").read_text()
MADE = {"all"}
"""Ids of elements that a script makes."""


def fields_of(interface: str) -> set[str]:
    body = re.search(rf"\n *interface {interface} {{\n(.*?)\n *}}", TYPES, re.DOTALL)
    assert body is not None
    return set(re.findall(r'^ *"?([\w-]+)"?\??:', body[1], re.MULTILINE))


@pytest.mark.parametrize(
    "name",
    [
        "Announcement",
        "Channel",
        "Clip",
        "Clips",
        "Device",
        "Heard",
        "Outcomes",
        "Playing",
        "Recording",
    ],
)
def test_scripts_read_what_the_api_answers(name: str) -> None:
    nobody: Any = None
    context = Context(Settings(), 1, nobody, nobody, trio.Event(), str)
    schemas = openapi(all_operations(context, login=False), "")["components"]["schemas"]
    assert fields_of(name) <= set(schemas[name]["properties"])


def test_scripts_find_what_the_pages_have() -> None:
    pages = "".join(path.read_text() for path in STATIC.glob("*.html"))
    assert fields_of("Elements") - MADE <= set(re.findall(r'\bid="([^"]+)"', pages))
