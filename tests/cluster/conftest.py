"""One engine for the tests of a file; each test begins with an empty one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from engine import PROGRAM, EngineProcess, open_engine

needs_engine = pytest.mark.skipif(
    shutil.which(PROGRAM) is None, reason=f"{PROGRAM} is not installed"
)


@pytest.fixture(scope="module")
def module_engine() -> Iterator[EngineProcess]:
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not installed")
    with open_engine() as engine:
        yield engine


@pytest.fixture
def engine(module_engine: EngineProcess) -> EngineProcess:
    module_engine.ask("FLUSHALL")
    return module_engine
