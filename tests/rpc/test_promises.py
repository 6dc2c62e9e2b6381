"""docs/reliability.md names a test for every promise: each must be there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from audio_server.rpc.limits import Limits

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reliability.md").read_text()
FILES = sorted(set(re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`", TEXT)))
NAMED = [
    (file, name)
    for file, names in re.findall(r"`((?:tests/\w+/)?test_\w+\.py)`: ((?:`[\w…]+`(?:, )?)+)", TEXT)
    for name in re.findall(r"`([\w…]+)`", names)
]


@pytest.mark.parametrize("file", FILES)
def test_the_file_is_there(file: str) -> None:
    """In the folder that is named, or if none is, in any: the names of test files are unique."""
    assert list(ROOT.glob(file if "/" in file else f"tests/*/{file}"))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_is_there(file: str, name: str) -> None:
    (path,) = ROOT.glob(file if "/" in file else f"tests/*/{file}")
    assert f"def test_{name.rstrip('…')}" in path.read_text()


@pytest.mark.parametrize("limit", [field.name for field in fields(Limits)])
def test_every_limit_is_told(limit: str) -> None:
    assert f"`{limit}`" in TEXT
