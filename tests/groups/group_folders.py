"""The type of a fixture that makes folders of clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

MakeFolder = Callable[..., Path]
