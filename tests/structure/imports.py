"""The imports of `audio_server`, read from its sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2] / "audio_server"


class Import(NamedTuple):
    """`importer` imports `imported`: dotted names of modules, without the package's own.

    `at_runtime` is False for an import that only a type checker reads.
    """

    importer: str
    imported: str
    at_runtime: bool


def imports_of(package: Path = PACKAGE) -> list[Import]:
    """Return every import of one module of `package` by another, those in functions too."""
    return [
        Import(_name(file, package), imported, at_runtime)
        for file in sorted(package.rglob("*.py"))
        for imported, at_runtime in _imported(ast.parse(file.read_text()), package)
        if imported != _name(file, package)
    ]


def modules_of(package: Path = PACKAGE) -> list[str]:
    """Return the dotted names of all modules; a package's own is the package's."""
    return [_name(file, package) for file in sorted(package.rglob("*.py"))]


def _name(file: Path, package: Path) -> str:
    parts = file.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(node: ast.AST, package: Path, at_runtime: bool = True) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _imported(child, package, at_runtime=False)
        elif isinstance(child, ast.ImportFrom):
            for name in _targets(child, package):
                yield name, at_runtime
        elif isinstance(child, ast.Import):
            for alias in child.names:
                if alias.name.partition(".")[0] == package.name:
                    yield alias.name.partition(".")[2], at_runtime
        else:
            yield from _imported(child, package, at_runtime)


def _targets(node: ast.ImportFrom, package: Path) -> Iterator[str]:
    top, _, inner = (node.module or "").partition(".")
    if top != package.name:
        return
    for alias in node.names:
        module = f"{inner}.{alias.name}".strip(".")
        path = package.joinpath(*module.split("."))
        yield module if path.is_dir() or path.with_suffix(".py").is_file() else inner
