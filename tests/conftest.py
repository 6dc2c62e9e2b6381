"""What every test gets: proof that no asyncio loop is ever made."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(autouse=True)
def no_asyncio_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product is trio's alone; grpclib must never bring a loop of its own."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an asyncio loop was asked for")

    for name in ("get_event_loop", "new_event_loop", "get_running_loop", "run"):
        monkeypatch.setattr(asyncio, name, refuse)
