"""A count of habits that make technical prose hard to read, over code and documentation.

The habits are relative clauses and pronouns in the place of a noun ("what is sent", "who asks",
"nobody"), and a few turns of phrase. The ceiling is only ever lowered.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HABITS = re.compile(
    r"""
    \b(
        [Ww]hat (?!\ kind|\ if) | [Ww]hatever | [Ww]ho | [Ww]hoever |
        [Nn]obody | [Ss]omebody | [Ee]verybody | [Aa]nybody | [Nn]o\ one |
        (?:is|are)\ to\ be |
        any\ ?more |
        (?:tell|tells|told)\ of
    )\b
    """,
    re.VERBOSE,
)

CEILING = 2.0
"""Habits in 1,000 words of prose."""

GENERATED = ("docs/configuration.md", "docs/http-api.md", "docs/changelog.md", "docs/_build")


def prose_files(root: Path) -> Iterator[Path]:
    """Yield the sources of the product, and the documentation that is written by hand."""
    yield from sorted((root / "audio_server").rglob("*.py"))
    yield root / "README.md"
    for file in sorted((root / "docs").rglob("*.md")):
        if not file.relative_to(root).as_posix().startswith(GENERATED):
            yield file


def prose_of(name: str, text: str) -> str:
    """Return the prose of a file: comments and texts of a source, paragraphs of a document."""
    if not name.endswith(".py"):
        return re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return "\n".join(token.string for token in tokens if _is_prose(token))


def _is_prose(token: tokenize.TokenInfo) -> bool:
    """A string of one word is a name or a key."""
    is_text = token.type == tokenize.STRING or tokenize.tok_name[token.type] == "FSTRING_MIDDLE"
    return token.type == tokenize.COMMENT or (is_text and " " in token.string)


def habits_in(prose: str) -> list[str]:
    """Return each habit with a few words after it."""
    return [prose[found.start() : found.start() + 40] for found in HABITS.finditer(prose)]


def test_prose_says_the_noun() -> None:
    texts = [prose_of(file.name, file.read_text()) for file in prose_files(ROOT)]
    habits = sum(len(habits_in(text)) for text in texts)
    words = sum(len(text.split()) for text in texts)
    assert habits * 1000 / words <= CEILING


@pytest.mark.parametrize(
    "text",
    ["What is sent waits.", "Whoever asks", "told of it", "It is not read any more.", "Nobody is"],
)
def test_a_habit_is_found(text: str) -> None:
    assert len(habits_in(prose_of("x.py", f'"""{text} End."""'))) == 1


@pytest.mark.parametrize(
    "text", ["Return the frames that wait.", "whatsoever", "whole", "and more"]
)
def test_plain_prose_is_none(text: str) -> None:
    assert habits_in(text) == []


def test_names_in_code_are_no_prose() -> None:
    assert habits_in(prose_of("x.py", 'who = what["nobody"]\n')) == []
