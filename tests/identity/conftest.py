"""Authorities, made once, and servers that ask who is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from papers import Papers, make_papers
from structlog.testing import capture_logs
from structlog.typing import EventDict

from audio_server.settings import Settings


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """The authority that the server trusts."""
    return make_papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="session")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """Another authority, with devices of the same names."""
    return make_papers(tmp_path_factory.mktemp("strange"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips that are ready."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def settings(tmp_path: Path, cache: Path, papers: Papers) -> Callable[..., Settings]:
    """Settings of a server on a free port; `tls` and `mutual` ask for certificates."""

    def make(*, tls: bool = False, mutual: bool = False, **others: Any) -> Settings:
        if tls or mutual:
            others.update(tls_cert=papers.certs.server.cert, tls_key=papers.certs.server.key)
        if mutual:
            others.update(tls_client_ca=papers.certs.ca)
        clips = Path(__file__).parents[2] / "clips"
        return Settings(port=0, clips=clips, cache=cache, data=tmp_path / "data", **others)

    return make


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """What is logged while the test runs."""
    with capture_logs() as entries:
        yield entries
